"""Jobs on an existing Slurm cluster: sbatch takes them, squeue tells how they are."""

import logging
import math
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from secrets import token_hex
from typing import Any

import yaml

from jobs.engines import ASKED, CLUSTER_ID, NODES, RESTARTS, WAITS_FOR, Exit
from jobs.engines.local import TRAIN
from jobs.engines.slurm_cluster import ClusterJob, ClusterUnavailable, ask, list_jobs
from jobs.engines.slurm_options import SlurmOptions, read_options
from jobs.engines.slurm_submission import (
    Outcome,
    Request,
    hand_over,
    is_under_way,
    key_of,
    ticket_of,
)
from jobs.problems import Cluster, ClusterEnding, LaunchError
from tracking import records, runs
from tracking.runs import Run
from tracking.store import Store

POLL_INTERVAL_S = 5.0
RETRY_INTERVAL_S = 30.0

log = logging.getLogger("jobs.engines.slurm")


class SlurmEngine:
    """Hands jobs to the cluster in the order of the queue, which then starts them in its own.

    Slurm alone puts a job back into its queue, under the same number: by itself when it takes the nodes away
    or a node fails, and when `SlurmTask` asks it to because the time limit is near. Lightning's own handler
    is off: it saves inside a signal handler, in the middle of a step.

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
        self._gathered: list[Request] = []
        self._orders: dict[str, Future[dict[str, Outcome]]] = {}
        self._in_doubt = False
        self._settled_at: dict[str, float] = {}
        self._retry_at = 0.0
        self._look: Future[dict[str, ClusterJob]] | None = None
        self._looked_at = 0.0
        self._known: dict[str, ClusterJob] = {}
        self._known_at = 0.0
        self._problem = ""
        self._submitted_at: dict[str, float] = {}
        self._cancelled_at: dict[tuple[str, ...], float] = {}

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Hand the run to the cluster with the next `dispatch`; True once it has taken it.

        Raises:
            LaunchError: This machine has no Slurm, or the cluster refuses the job.
            StoreUnavailable: The store cannot be written; asking again later is safe.
        """
        if order := self._orders.get(run.run_id):
            return order.done() and self._take(run)
        if run.tags.get(ASKED):
            return self._find_again(run)
        # Nobody passes those of whom it is not known whether the cluster has them.
        if not self._in_doubt and time.monotonic() >= self._retry_at:
            self._gather(run)
        return False

    def dispatch(self) -> None:
        """Hand over what has been gathered: neighbours of one group that ask for the same, as one array.

        Raises:
            StoreUnavailable: The store cannot be written; those concerned are gathered again.
        """
        gathered, self._gathered = self._gathered, []
        self._in_doubt = False
        for _, requests in groupby(gathered, key=lambda request: request.shared):
            self._begin(list(requests))
        for run_id in [run_id for run_id, order in self._orders.items() if order.done()]:
            self._take_back_unless_active(run_id)

    def poll(self, run: Run) -> Exit | None:
        """Return how the job of a run ended, None while it has not or the cluster does not answer."""
        self._refresh()
        job_id = run.tags.get(CLUSTER_ID, "")
        if self._known_at <= self._submitted_at.get(job_id, 0.0):
            return None
        job = self._known.get(job_id)
        if job is None:
            return Exit(None, ClusterEnding.FORGOTTEN, {"job_id": job_id})
        if job.has_ended:
            return explain(job)
        self._reconcile(run, job)
        return None

    def stop(self, run: Run, *, force: bool) -> None:
        """Have Slurm send SIGTERM to the processes of a run or, with force, kill its job."""
        job_id = run.tags.get(CLUSTER_ID)
        if job_id and force:
            # A cancelled job is sent SIGTERM once more, and has the cluster's KillWait; its step has not.
            self._cancel(f"{job_id}.0", "--signal=KILL")
            self._cancel(job_id)
        elif job_id:
            self._cancel(job_id, "--signal=TERM")

    def _gather(self, run: Run) -> None:
        if shutil.which("sbatch") is None:
            raise LaunchError(Cluster.NO_SLURM)
        config = yaml.safe_load(runs.read_config(self.store, run.run_id))
        num_tasks = config.get("trainer", {}).get("devices", 1)
        self._gathered.append(Request(run, read_options(config) or SlurmOptions(), num_tasks))

    def _begin(self, requests: list[Request]) -> None:
        key = token_hex(8)
        for index, request in enumerate(requests):
            # Before there is a job, so that a successor knows to look for it.
            records.set_tags(self.store, request.run.run_id, {ASKED: ticket_of(key, index)})
        order = self._talk.do(partial(hand_over, self.store, self.command, key, requests))
        self._orders |= {request.run.run_id: order for request in requests}

    def _take(self, run: Run) -> bool:
        """Return whether the cluster accepted a submitted run. Raises LaunchError if it refuses the run."""
        outcome = self._orders.pop(run.run_id).result()[run.run_id]
        if isinstance(outcome, LaunchError):
            raise outcome
        if isinstance(outcome, ClusterUnavailable):
            # It may have the job nevertheless.
            self._in_doubt = True
            now = self._settled_at[key_of(run.tags[ASKED])] = time.monotonic()
            self._retry_at = now + self.retry_interval_s
            self._note(run, {WAITS_FOR: f"the cluster does not take it yet: {outcome}"})
            return False
        self._submitted_at[outcome] = time.monotonic()
        self._note_taken(run, outcome)
        return True

    def _take_back_unless_active(self, run_id: str) -> None:
        """Cancel the job of a run that was stopped during its submission."""
        try:
            if runs.get_run(self.store, run_id).is_active:
                return
        except ValueError:
            pass  # deleted even
        outcome = self._orders.pop(run_id).result()[run_id]
        if isinstance(outcome, str):
            self._cancel(outcome)

    def _find_again(self, run: Run) -> bool:
        """Return whether the cluster has a run whose submission was not recorded."""
        ticket = run.tags[ASKED]
        key = key_of(ticket)
        if key not in self._settled_at and not is_under_way(key):
            self._settled_at[key] = time.monotonic()
        self._refresh()
        if self._known_at <= self._settled_at.get(key, math.inf):
            self._in_doubt = True
            return False
        job_id = next((job.job_id for job in self._known.values() if job.ticket == ticket), None)
        if job_id is None and run.status == "SCHEDULED":
            self._in_doubt = True  # until it has been asked for again
            records.set_tags(self.store, run.run_id, {ASKED: ""})
            return False
        self._note_taken(run, job_id or ticket)
        return True

    def _note_taken(self, run: Run, job_id: str) -> None:
        taken = {CLUSTER_ID: job_id, WAITS_FOR: "waits in the cluster's queue"}
        if run.tags.get("job.request") == "resume":
            taken["job.request"] = ""
        records.set_tags(self.store, run.run_id, taken)

    def _refresh(self) -> None:
        """Use the result of the last query and, at regular intervals, start another one."""
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
        """Record what only the cluster knows; the training process records the rest."""
        if job.is_waiting and run.is_stopping:
            # There is nothing to save. (With `--state=PENDING` Slurm 22 takes a whole array for its member.)
            self._cancel(job.job_id)
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
        self._note(run, {WAITS_FOR: reason, NODES: job.nodes})

    def _note(self, run: Run, tags: dict[str, str]) -> None:
        if new := {name: value for name, value in tags.items() if run.tags.get(name, "") != value}:
            records.set_tags(self.store, run.run_id, new)

    def _cancel(self, job_id: str, *options: str) -> None:
        now = time.monotonic()
        if now - self._cancelled_at.get((job_id, *options), -self.poll_interval_s) >= self.poll_interval_s:
            self._cancelled_at[job_id, *options] = now
            self._talk.do(lambda: ask("scancel", *options, job_id))


class _Talk:
    """One daemon thread that works through a queue."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], Any]) -> Future[Any]:
        """Add a function to the queue and return its future result."""
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


def explain(job: ClusterJob) -> Exit:
    """Return how a job of the cluster ended, with the cause where Slurm has ended it."""
    if job.state in ClusterEnding.__members__:
        values = {"job_id": job.job_id, "nodes": job.nodes or "unknown"}
        return Exit(None, ClusterEnding[job.state], values)
    return Exit(job.exit_code)
