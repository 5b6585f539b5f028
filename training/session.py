"""The MLflow record of one training process, from its first second to its terminal status."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from problems import Problem
from tracking import records, runs, scaling, uploads
from tracking.problems import StoreUnavailable
from tracking.spool import Spool, deliver_left
from tracking.store import Store
from training.problems import FAILURE, FailedTraining, Stopped, StopRequested

# Exit codes of a command that was interrupted, is invalid, or failed for another reason.
STOPPED, WRONG, FAILED = 130, 2, 1


class Session:
    """The record of this process's run. Only the first process of a run writes it.

    Args:
        store: The store of the run.

    Attributes:
        run_id: The id of the run, after `begin`. Where `srun` or the like has started the processes without
            an id, the others get it from the first one once they are connected.
        step: Number of optimiser steps so far; metrics are logged at it.
        saved_step: The optimiser step of the newest checkpoint, -1 if there is none.
        batch_size: Number of images per step on each device, 0 before the configuration is known.
        has_trained: Whether this process has trained a batch, which could be lost.
        news: Sentences for the job's log.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.run_id = ""
        self.step = 0
        self.saved_step = -1
        self.batch_size = 0
        self.has_trained = False
        self.news: list[str] = []
        self._ended = False
        self._params: frozenset[str] = frozenset()
        self._tags: dict[str, str] = {}
        self._spool: Spool | None = None

    @property
    def spool(self) -> Spool:
        """The spool for what is recorded, in the first process of a run after `begin`."""
        assert self._spool is not None
        return self._spool

    @property
    def checkpoint_folder(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.store.checkpoint_folder(self.run_id)

    @property
    def earlier_tags(self) -> Mapping[str, str]:
        """The tags of the run from before this process, empty in all processes but the first."""
        return self._tags

    def begin(self, config: Mapping[str, Any], run_id: str | None) -> None:
        """Take over the submitted run, or create one if there is none, and set its status to RUNNING."""
        if is_first():
            self.run_id = run_id or records.create_run(self.store.open(), dict(config))
            # Processes started by Lightning's launcher inherit the environment and find the same run.
            os.environ["ARENA_RUN_ID"] = self.run_id
            try:
                self._take_over()
            except StoreUnavailable:
                if not self.store.server:
                    raise
                # Continue anyway: the records are delivered when the server is back.
            self._spool = Spool(self.store, self.run_id)
        else:
            self.run_id = run_id or os.environ.get("ARENA_RUN_ID", "")
        self._write_start()

    def _take_over(self) -> None:
        """Clear the tags that the end of an earlier process of this run has set.

        Raises:
            StopRequested: A user has requested it before the run was taken over.
            StoreUnavailable: The store cannot be used.
        """
        self.store.open()
        deliver_left(self.store, self.run_id)
        run = runs.get_run(self.store, self.run_id)
        self._params, self._tags = frozenset(run.params), run.tags
        if run.is_stopping:
            raise StopRequested(Stopped.BEFORE_TRAINING)
        if run.is_terminal:
            records.set_tags(self.store, self.run_id, {"job.request": "", "job.error": "", FAILURE: ""})

    @rank_zero_only
    def _write_start(self) -> None:
        process = psutil.Process()
        now = str(int(time.time() * 1000))
        tags = {
            "job.pid": str(process.pid),
            "job.create_time": repr(process.create_time()),
            "job.host": os.uname().nodename,
            # How often a cluster has requeued the job of this process.
            "job.cluster_restarts": os.environ.get("SLURM_RESTART_COUNT", "0"),
            "job.started_at": self._tags.get("job.started_at", now),  # by the first process of the run
        }
        tags |= {tag: "" for tag in (runs.RANK_ERROR, runs.ENDS_AT) if self._tags.get(tag)}
        self.spool.set_tags(tags)
        self.spool.set_status("RUNNING")

    @rank_zero_only
    def note_resume(self, step: int) -> None:
        """Record that the run continues from a checkpoint."""
        times = int(self._tags.get("job.resumes", 0)) + 1
        self.spool.set_tags({"job.resumes": times, "job.resumed_step": step})
        self.news.append(f"Continuing after step {step}.")

    @rank_zero_only
    def note_damage(self, sentences: list[str]) -> None:
        """Record that checkpoints were damaged."""
        self.spool.set_tags({"checkpoint.damaged": " ".join(sentences)})
        self.news += sentences

    @rank_zero_only
    def describe(self, params: Mapping[str, Any]) -> None:
        """Record what only the training process knows, such as the device, precision and network size.

        A param cannot change: if a run continues on another device, the record names the first one.
        """
        new = {name: value for name, value in params.items() if name not in self._params}
        self.spool.log_params(new)

    @rank_zero_only
    def annotate(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        self.spool.set_tags(tags)

    def note_manifest(self, manifest: str) -> None:
        """Record the manifest of the images, and the previous one if the run continues with other images."""
        tags = {"data.manifest": manifest}
        before = self._tags.get("data.manifest")
        if before is not None and before != manifest:
            tags["data.manifest_before"] = before
        self.annotate(tags)

    def note_one_device(self, found: Mapping[str, str]) -> scaling.OneDevice | None:
        """Find and record the run on one device with the same settings, to measure the scaling efficiency.

        Args:
            found: This run's precision and device.

        Returns:
            The run, None if there is none.
        """
        one = None
        with suppress(StoreUnavailable):  # then it is not measured
            one = scaling.find_one_device(self.store, self.run_id, found)
        self.annotate({scaling.COMPARED_WITH: "" if one is None else one.run.name})
        self.news.append(
            "Scaling efficiency is not measured: there is no run with the same settings on one device."
            if one is None
            else f"Scaling efficiency is relative to {one.run.name}, {one.images_per_s:.1f} images/s."
        )
        return one

    def stop_requested(self) -> bool:
        """Return whether a user has asked this run to stop."""
        return runs.get_run(self.store, self.run_id).tags.get("job.request") == "stop"

    @property
    def has_ended(self) -> bool:
        """Whether the run's end is recorded."""
        return self._ended

    def finish(self) -> None:
        """Record success: set the status to FINISHED and request the upload of the checkpoint."""
        if is_first() and self.store.server and not self._ended:
            with suppress(StoreUnavailable):  # the checkpoint still exists on this machine
                uploads.expect(self.store, self.run_id)
        self._end("FINISHED")

    def stop(self, reason: str = "") -> None:
        """Record that the run was stopped, with a reason if it is unusual, or was requeued by a cluster."""
        if self._is_called_back():
            self._end("SCHEDULED")
        else:
            self._end("KILLED", {"job.error": reason} if reason else None)

    def _is_called_back(self) -> bool:
        """Return whether a cluster reclaims its nodes: it ends the process without a request to stop."""
        if self._tags.get("job.engine") != "slurm" or "SLURM_JOB_ID" not in os.environ:
            return False
        with suppress(StoreUnavailable):
            return not self.stop_requested()
        return True

    def fail(self, reason: str, tags: Mapping[str, str]) -> None:
        """Record failure.

        A process that is not the first only leaves the reason for the first one.

        Args:
            reason: One sentence.
            tags: Further tags of the run, such as `FAILURE`.
        """
        if is_first():
            self._end("FAILED", {"job.error": reason, **tags})
        elif self.run_id:
            with suppress(StoreUnavailable):
                told = {runs.RANK_ERROR: str(Problem(FailedTraining.RANK_FAILED, rank=rank(), reason=reason))}
                records.set_tags(self.store, self.run_id, told | dict(tags))

    def rank_error(self) -> str:
        """Return why a process other than the first has failed, empty if none has recorded it."""
        with suppress(StoreUnavailable):
            return runs.get_run(self.store, self.run_id).tags.get(runs.RANK_ERROR, "")
        return ""

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor resumes the run if its process is killed."""
        return bool(self._tags.get("job.slots"))

    def note_loss(self, reason: str, tags: Mapping[str, str]) -> None:
        """Record why this process is about to be killed; the supervisor records how the run ends."""
        with suppress(StoreUnavailable):
            self.spool.set_tags({"job.error": reason, **tags})
            self.spool.close()

    def _end(self, status: str, tags: dict[str, str] | None = None) -> None:
        if not is_first() or not self.run_id or self._ended:
            return
        # If this cannot be recorded, the supervisor uses the exit code and the log.
        with suppress(StoreUnavailable):
            spool = self._spool or Spool(self.store, self.run_id)
            if tags:
                spool.set_tags(tags)
            spool.set_status(status)
            spool.close()
        self._ended = True


def rank() -> int:
    """Return the number of this process among those of the run."""
    return int(getattr(rank_zero_only, "rank", 0))


def is_first() -> bool:
    """Return whether this process is the one that writes the record."""
    return rank() == 0
