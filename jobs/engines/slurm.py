"""Jobs on an existing Slurm cluster: submitit hands them over, squeue tells how they are."""

import logging
import queue
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from jobs.engines import ASKED, CLUSTER_ID, NODES, RESTARTS, Exit
from jobs.engines.slurm_cluster import (
    ClusterJob,
    ClusterUnavailable,
    ask,
    is_passing,
    last_words,
    list_jobs,
)
from jobs.engines.slurm_options import SlurmOptions, read_options
from jobs.engines.slurm_task import SlurmTask
from jobs.errors import LaunchError
from jobs.queue import REASON
from tracking import records, runs
from tracking.runs import Run
from tracking.store import REPOSITORY, Store

TRAIN = (sys.executable, "-m", "training", "fit")
POLL_INTERVAL_S = 5.0
RETRY_INTERVAL_S = 30.0
# Before the time limit, for saving the work.
WARNING_S = 120

log = logging.getLogger("jobs.engines.slurm")


class SlurmEngine:
    """Hands jobs to the cluster in the order of the queue, which then starts them in its own.

    Slurm alone puts a job back into its queue, under the same number: by itself when it takes the nodes away
    or a node fails, and when `SlurmTask` asks it to because the time limit is near. Submitit's and
    Lightning's own handlers are off: both save inside a signal handler, in the middle of a step.

    The cluster is talked to by a thread of its own, since one that does not answer takes its time.

    Args:
        store: Where the runs are; the nodes see it under the same path.
        command: The training program; `--config FILE --run_id ID` is added.
        poll_interval_s: How often to ask the cluster.
        retry_interval_s: How long to wait for a cluster that did not answer.
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self,
        store: Store,
        command: Sequence[str] = TRAIN,
        *,
        poll_interval_s: float = POLL_INTERVAL_S,
        retry_interval_s: float = RETRY_INTERVAL_S,
    ) -> None:
        self.store = store
        self.command = tuple(command)
        self.poll_interval_s = poll_interval_s
        self.retry_interval_s = retry_interval_s
        self._talk = _Talk()
        self._submissions: dict[str, Future[str]] = {}
        self._retry_at = 0.0
        self._look: Future[dict[str, ClusterJob]] | None = None
        self._looked_at = 0.0
        self._known: dict[str, ClusterJob] = {}
        self._known_at = 0.0
        self._problem = ""
        self._submitted_at: dict[str, float] = {}
        self._cancelled_at: dict[tuple[str, ...], float] = {}

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Hand the run to the cluster; True once it has taken it.

        Raises:
            LaunchError: This machine has no Slurm, or the cluster refuses the job.
            StoreUnavailable: The store cannot be written; asking again later is safe.
        """
        submission = self._submissions.get(run.run_id)
        if submission is None:
            if time.monotonic() >= self._retry_at:
                self._begin(run)
            return False
        if not submission.done():
            return False
        del self._submissions[run.run_id]
        try:
            job_id = submission.result()
        except ClusterUnavailable as problem:
            self._retry_at = time.monotonic() + self.retry_interval_s
            self._note(run, {REASON: f"the cluster does not take it yet: {problem}"})
            return False
        self._submitted_at[job_id] = time.monotonic()
        taken = {CLUSTER_ID: job_id, REASON: "waits in the cluster's queue", "job.request": ""}
        records.set_tags(self.store, run.run_id, taken)
        return True

    def poll(self, run: Run) -> Exit | None:
        """How its job ended, None while the cluster has it or does not answer."""
        self._refresh()
        job_id = run.tags.get(CLUSTER_ID, "")
        if self._known_at <= self._submitted_at.get(job_id, 0.0):
            return None
        job = self._known.get(job_id)
        if job is None:
            return Exit(None, f"The cluster no longer knows job {job_id}, which left no result; see the log.")
        if job.has_ended:
            shutil.rmtree(self._folder(run.run_id), ignore_errors=True)
            return explain(job)
        self._reconcile(run, job)
        return None

    def stop(self, run: Run, *, force: bool) -> None:
        """Have Slurm send SIGTERM to its processes or, with force, end the job."""
        if job_id := run.tags.get(CLUSTER_ID):
            self._cancel(job_id) if force else self._cancel(job_id, "--signal=TERM")

    def logs(self, run_id: str) -> Path:
        """The file with what it printed."""
        return self.store.log_file(run_id)

    def _begin(self, run: Run) -> None:
        if shutil.which("sbatch") is None:
            raise LaunchError(
                "There is no Slurm (sbatch) on this machine; choose to train on the machine itself."
            )
        config = yaml.safe_load(runs.read_config(self.store, run.run_id))
        options = read_options(config) or SlurmOptions()
        # Before there is a job, so that a successor knows to look for it.
        records.set_tags(self.store, run.run_id, {ASKED: "yes"})
        num_tasks = config.get("trainer", {}).get("devices", 1)
        self._submissions[run.run_id] = self._talk.do(partial(self._hand_over, run, options, num_tasks))

    def _hand_over(self, run: Run, options: SlurmOptions, num_tasks: int) -> str:
        """In the thread: submit what has not been submitted yet."""
        if run.tags.get(ASKED):
            for job in list_jobs():
                if job.run_id == run.run_id and not job.has_ended:
                    return job.job_id
        return self._sbatch(run, options, num_tasks)

    def _sbatch(self, run: Run, options: SlurmOptions, num_tasks: int) -> str:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        log_file = self.logs(run.run_id)
        config = str(self.store.config_file(run.run_id))
        task = SlurmTask((*self.command, "--config", config, "--run_id", run.run_id), self.store, run.run_id)
        executor = SlurmExecutor(self._folder(run.run_id))
        executor.update_parameters(**parameters(run, options, num_tasks, log_file))
        try:
            return str(executor.submit(task).job_id)
        except (FailedJobError, FailedSubmissionError) as error:
            message = last_words(str(error))
            shutil.rmtree(self._folder(run.run_id), ignore_errors=True)
            if is_passing(message):
                raise ClusterUnavailable(message) from error
            raise LaunchError(f"Slurm refuses the job: {message}.") from error

    def _refresh(self) -> None:
        """Take what the last look has found and, now and then, have another one taken."""
        if self._look is not None and self._look.done():
            try:
                self._known, self._known_at, self._problem = self._look.result(), self._looked_at, ""
            except ClusterUnavailable as problem:
                if not self._problem:
                    log.warning("The cluster does not answer: %s", problem)
                self._problem = str(problem)
            self._look = None
        if self._look is None and time.monotonic() - self._looked_at >= self.poll_interval_s:
            self._looked_at = time.monotonic()
            self._look = self._talk.do(lambda: {job.job_id: job for job in list_jobs()})

    def _reconcile(self, run: Run, job: ClusterJob) -> None:
        """Write down what only the cluster knows; the training process writes all the rest."""
        if job.is_waiting and run.is_stopping:
            self._cancel(job.job_id, "--state=PENDING")  # there is nothing to save
        restarts = run.tags.get(RESTARTS, "0")
        if job.is_waiting and run.status == "RUNNING" and job.restarts > int(restarts):
            # Its process had no time to write that its place was taken away. Unless it is back already:
            now = runs.get_run(self.store, run.run_id)
            if now.status == "RUNNING" and now.tags.get(RESTARTS, "0") == restarts:
                records.set_status(self.store, run.run_id, "SCHEDULED")
        if self._problem:
            reason = f"the cluster does not answer: {self._problem}"
        else:
            reason = f"waits in the cluster's queue: {job.reason}" if job.is_waiting else ""
        self._note(run, {REASON: reason, NODES: job.nodes})

    def _note(self, run: Run, tags: dict[str, str]) -> None:
        if new := {name: value for name, value in tags.items() if run.tags.get(name, "") != value}:
            records.set_tags(self.store, run.run_id, new)

    def _cancel(self, job_id: str, *options: str) -> None:
        now = time.monotonic()
        if now - self._cancelled_at.get((job_id, *options), -self.poll_interval_s) >= self.poll_interval_s:
            self._cancelled_at[job_id, *options] = now
            self._talk.do(lambda: ask("scancel", *options, job_id))

    def _folder(self, run_id: str) -> Path:
        return self.store.root / "slurm" / run_id


class _Talk:
    """One thread that does one thing after the other and keeps nobody from leaving."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], Any]) -> Future[Any]:
        """Have something done in its turn."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="slurm", daemon=True)
            self._thread.start()
        result: Future[Any] = Future()
        self._orders.put((work, result))
        return result

    def _run(self) -> None:
        while True:
            work, result = self._orders.get()
            try:
                result.set_result(work())
            except Exception as error:
                result.set_exception(error)


def parameters(run: Run, options: SlurmOptions, num_tasks: int, log_file: Path) -> dict[str, Any]:
    """The settings of submitit for a run.

    Args:
        run: Gives its name, and its id as the comment by which it is found again.
        options: Of the cluster.
        num_tasks: Processes on each node.
        log_file: Gets what all of them print.
    """
    further = {
        **options.extra,
        "requeue": True,
        "chdir": str(REPOSITORY),
        "output": str(log_file),
        "error": str(log_file),
    }
    if options.time is not None:
        further["time"] = options.time
    if options.partition is not None:
        further["partition"] = options.partition
    if options.account is not None:
        further["account"] = options.account
    if options.gpus_per_node:
        further["gpus-per-node"] = options.gpus_per_node
    return {
        "job_name": re.sub(r"[^\w.-]", "-", run.name)[:64] or "convnet-arena",
        "comment": run.run_id,
        "time": None,
        "nodes": options.nodes,
        "ntasks_per_node": num_tasks,
        "signal_delay_s": WARNING_S,
        "additional_parameters": further,
        # A task that fails ends the others, which would wait for it.
        "srun_args": [
            f"--output={log_file}",
            f"--error={log_file}",
            "--open-mode=append",
            "--kill-on-bad-exit=1",
        ],
    }


def explain(job: ClusterJob) -> Exit:
    """How a job of the cluster ended, with a sentence where Slurm has ended it."""
    where = f" on {job.nodes}" if job.nodes else ""
    sentences = {
        "BOOT_FAIL": f"The nodes of cluster job {job.job_id} did not start; resume to try others.",
        "CANCELLED": f"Cluster job {job.job_id} was cancelled on the cluster (scancel).",
        "DEADLINE": f"Cluster job {job.job_id} could not end before its deadline.",
        "NODE_FAIL": f"A node failed under cluster job {job.job_id}{where}; resume to go on elsewhere.",
        "OUT_OF_MEMORY": f"Cluster job {job.job_id} used more memory than it had asked for; "
        "ask for more (mem among the further options) or take a smaller batch.",
        "PREEMPTED": f"The cluster gave the nodes of job {job.job_id} to another and did not put it back; "
        "resume to go on from its checkpoint.",
        "REVOKED": f"Cluster job {job.job_id} went to another cluster.",
        "TIMEOUT": f"Cluster job {job.job_id} reached its time limit before it had saved and left; "
        "resume to go on from its checkpoint.",
    }
    if job.state in sentences:
        return Exit(None, sentences[job.state])
    return Exit(job.exit_code)
