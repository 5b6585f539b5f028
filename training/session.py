"""The MLflow record of one training process, from its first second to its terminal status."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from tracking import records, runs, scaling, uploads
from tracking.problems import StoreUnavailable
from tracking.spool import Spool, deliver_left
from tracking.store import Store

# What an interrupted command returns to a shell, and a wrong one, and one that failed for another reason.
STOPPED, WRONG, FAILED = 130, 2, 1


class StopRequested(Exception):
    """Someone asked this run to stop; what it learned so far is in its last checkpoint."""


class Session:
    """Writes the record of this process's run; every rank but the first stays silent.

    Args:
        store: Where the run is kept.

    Attributes:
        run_id: The run, once `begin` was called; of processes that somebody else such as `srun` has started
            without naming one, the others know it from the first as soon as they are connected.
        step: Optimiser steps done; every metric is logged at it.
        saved_step: The optimiser step of the newest checkpoint, -1 where there is none.
        batch_size: Images a step on each device, 0 before the configuration is known.
        has_trained: Whether this process has trained a batch, so that there is something to lose.
        news: Sentences for the job's log about where it goes on.
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
        """Takes what is recorded, in the first process of a run that has begun."""
        assert self._spool is not None
        return self._spool

    @property
    def checkpoint_folder(self) -> Path:
        """Where this run's checkpoints go."""
        return self.store.checkpoint_folder(self.run_id)

    @property
    def earlier_tags(self) -> Mapping[str, str]:
        """What the record said before this process took it over, empty in all processes but the first."""
        return self._tags

    def begin(self, config: Mapping[str, Any], run_id: str | None) -> None:
        """Takes over the submitted run, or creates one for a process started by hand, and sets it RUNNING."""
        if is_first():
            self.run_id = run_id or records.create_run(self.store.open(), dict(config))
            # Ranks started by Lightning's launcher inherit the environment and so find the same run.
            os.environ["ARENA_RUN_ID"] = self.run_id
            try:
                self._take_over()
            except StoreUnavailable:
                if not self.store.server:
                    raise
                # It goes on all the same: what it records is delivered when the server is back.
            self._spool = Spool(self.store, self.run_id)
        else:
            self.run_id = run_id or os.environ.get("ARENA_RUN_ID", "")
        self._write_start()

    def _take_over(self) -> None:
        """Clears what the end of an earlier process of this run has left.

        Raises:
            StopRequested: Somebody has asked for it before the run was taken over.
            StoreUnavailable: The store cannot be used.
        """
        self.store.open()
        deliver_left(self.store, self.run_id)
        run = runs.get_run(self.store, self.run_id)
        self._params, self._tags = frozenset(run.params), run.tags
        if run.is_stopping:
            raise StopRequested("stopped on request before training began")
        if run.is_terminal:
            records.set_tags(self.store, self.run_id, {"job.request": "", "job.error": ""})

    @rank_zero_only
    def _write_start(self) -> None:
        process = psutil.Process()
        now = str(int(time.time() * 1000))
        tags = {
            "job.pid": str(process.pid),
            "job.create_time": repr(process.create_time()),
            "job.host": os.uname().nodename,
            # How often a cluster has put the job of this process back into its queue.
            "job.cluster_restarts": os.environ.get("SLURM_RESTART_COUNT", "0"),
            "job.started_at": self._tags.get("job.started_at", now),  # by the first process of the run
        }
        tags |= {tag: "" for tag in (runs.RANK_ERROR, runs.ENDS_AT) if self._tags.get(tag)}
        self.spool.set_tags(tags)
        self.spool.set_status("RUNNING")

    @rank_zero_only
    def note_resume(self, step: int) -> None:
        """Adds to the record that the run goes on."""
        times = int(self._tags.get("job.resumes", 0)) + 1
        self.spool.set_tags({"job.resumes": times, "job.resumed_step": step})
        self.news.append(f"goes on after step {step}")

    @rank_zero_only
    def note_damage(self, sentences: list[str]) -> None:
        """Adds to the record that checkpoints could not be used."""
        self.spool.set_tags({"checkpoint.damaged": " ".join(sentences)})
        self.news += sentences

    @rank_zero_only
    def describe(self, params: Mapping[str, Any]) -> None:
        """Adds what only the training process knows (device, precision, network size) to the record.

        A param cannot change: where a run goes on with another device, the record names the first.
        """
        new = {name: value for name, value in params.items() if name not in self._params}
        self.spool.log_params(new)

    @rank_zero_only
    def annotate(self, tags: Mapping[str, str]) -> None:
        """Sets tags of the run."""
        self.spool.set_tags(tags)

    def note_manifest(self, manifest: str) -> None:
        """Records which images these are; a run that goes on with others keeps what it began with as well."""
        tags = {"data.manifest": manifest}
        before = self._tags.get("data.manifest")
        if before is not None and before != manifest:
            tags["data.manifest_before"] = before
        self.annotate(tags)

    def note_one_device(self, found: Mapping[str, str]) -> scaling.OneDevice | None:
        """Returns and records which run on one device trains the same, so that scaling can be measured.

        Args:
            found: This run's precision and device.
        """
        one = None
        with suppress(StoreUnavailable):  # then it stays unmeasured
            one = scaling.find_one_device(self.store, self.run_id, found)
        self.annotate({scaling.COMPARED_WITH: "" if one is None else one.run.name})
        self.news.append(
            "scaling efficiency is not measured: no run has trained the same on one device here"
            if one is None
            else f"scaling efficiency is measured against {one.run.name}, {one.images_per_s:.1f} images/s"
        )
        return one

    def stop_requested(self) -> bool:
        """Returns whether somebody asked this run to stop."""
        return runs.get_run(self.store, self.run_id).tags.get("job.request") == "stop"

    @property
    def has_ended(self) -> bool:
        """Whether the run's end is recorded."""
        return self._ended

    def finish(self) -> None:
        """Records success, the only way a run becomes FINISHED, and that its checkpoint is to be uploaded."""
        if is_first() and self.store.server and not self._ended:
            with suppress(StoreUnavailable):  # it has its checkpoint here all the same
                uploads.expect(self.store, self.run_id)
        self._end("FINISHED")

    def stop(self, reason: str = "") -> None:
        """Records that the run was stopped, with the reason if that is odd, or called back by a cluster."""
        if self._is_called_back():
            self._end("SCHEDULED")
        else:
            self._end("KILLED", {"job.error": reason} if reason else None)

    def _is_called_back(self) -> bool:
        """Whether a cluster wants its nodes back: it ends the process without a request to stop."""
        if self._tags.get("job.engine") != "slurm" or "SLURM_JOB_ID" not in os.environ:
            return False
        with suppress(StoreUnavailable):
            return not self.stop_requested()
        return True

    def fail(self, reason: str, tags: Mapping[str, str] | None = None) -> None:
        """Records failure and its reason, one sentence, and what somebody who tries again should know.

        Of a process that is not the first only the reason, for the first, which will miss it.
        """
        if is_first():
            self._end("FAILED", {"job.error": reason, **(tags or {})})
        elif self.run_id:
            with suppress(StoreUnavailable):
                told = {runs.RANK_ERROR: f"Rank {rank()}: {reason}", **(tags or {})}
                records.set_tags(self.store, self.run_id, told)

    def rank_error(self) -> str:
        """Returns why a process other than the first has failed, empty if none has said so."""
        with suppress(StoreUnavailable):
            return runs.get_run(self.store, self.run_id).tags.get(runs.RANK_ERROR, "")
        return ""

    @property
    def is_supervised(self) -> bool:
        """Whether somebody looks after the run who lets it go on if its process is lost."""
        return bool(self._tags.get("job.slots"))

    def note_loss(self, reason: str) -> None:
        """Adds why this process is about to be lost; the run's end is for the supervisor to record."""
        with suppress(StoreUnavailable):
            self.spool.set_tags({"job.error": reason})
            self.spool.close()

    def _end(self, status: str, tags: dict[str, str] | None = None) -> None:
        if not is_first() or not self.run_id or self._ended:
            return
        # What cannot be written down is in the exit code and the log, from which the supervisor takes it.
        with suppress(StoreUnavailable):
            spool = self._spool or Spool(self.store, self.run_id)
            if tags:
                spool.set_tags(tags)
            spool.set_status(status)
            spool.close()
        self._ended = True


def rank() -> int:
    """Returns the number of this process among those of the run."""
    return int(getattr(rank_zero_only, "rank", 0))


def is_first() -> bool:
    """Returns whether this process is the one that writes the record."""
    return rank() == 0
