"""The supervisor: the one process per store that starts SCHEDULED runs and makes sure that each one ends."""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from jobs.engines import LOCAL, Engine, Exit, engine_of, is_asked_for, is_started
from jobs.engines.slurm_cluster import remove_job_variables
from jobs.host.processes import Background, start_detached
from jobs.host.slots import kind_of, slots_of
from jobs.problems import Ending, Launch, LaunchError
from jobs.scheduling.backfill import may_pass
from jobs.scheduling.forecast import busy_until, request_of
from jobs.scheduling.queue import is_ready, line_up
from jobs.submission.retry import memory_tags
from jobs.supervision import recovery
from jobs.supervision.deliveries import Deliveries
from jobs.supervision.endings import (
    MemoryWatch,
    explain,
    last_line,
    ran_out_of_memory,
    was_interrupted,
    was_restarted,
)
from jobs.supervision.notifications import Notifications
from problems import Problem
from tracking import records, runs
from tracking.entities import ACTIVE_STATUSES, TERMINAL_STATUSES
from tracking.layout import REPOSITORY
from tracking.problems import StoreUnavailable
from tracking.runs import Run
from tracking.spool import deliver_left
from tracking.store import Store

ASK_GRACE_S = 30.0
TERM_GRACE_S = 10.0
POLL_INTERVAL_S = 1.0
START_TIMEOUT_S = 60.0
# A run can be RUNNING without a process while it is being created, and until a process that was started
# manually has recorded its number.
UNCLAIMED_GRACE_S = 120.0

log = logging.getLogger("jobs.supervision.supervisor")


class Supervisor:
    """Starts jobs in the order of the queue, monitors them, and ends those that were asked to stop.

    Its whole state is in the store, so that another supervisor can take over at any time.

    Args:
        store: The store with the runs.
        engine: The engine that runs the jobs.
        ask_grace_s: The seconds that a job has to end after it was asked to stop.
        term_grace_s: The seconds that it then has after SIGTERM, before all its processes are killed.
        poll_interval_s: The seconds between two steps.
        max_resumes: How often in a row an interrupted run is resumed without a newer checkpoint.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        ask_grace_s: float = ASK_GRACE_S,
        term_grace_s: float = TERM_GRACE_S,
        poll_interval_s: float = POLL_INTERVAL_S,
        max_resumes: int = recovery.MAX_RESUMES,
    ) -> None:
        self.store = store
        self.engine = engine
        self.ask_grace_s = ask_grace_s
        self.term_grace_s = term_grace_s
        self.poll_interval_s = poll_interval_s
        self.max_resumes = max_resumes
        self._memory = MemoryWatch()
        self._notifications = Notifications(store)
        self._deliveries = Deliveries(store)
        self._leaving = threading.Event()
        self._has_begun = False
        self._problem: StoreUnavailable | None = None
        self._followed: dict[str, Run] = {}
        self._ended_at: dict[str, float] = {}
        self._terminated_at: dict[str, float] = {}

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; jobs continue without the supervisor.

        Raises:
            LaunchError: Another supervisor is running for this store.
            StoreUnavailable: The store cannot be used. A tracking server that does not answer is waited for.
        """
        self.store.open_patiently()
        # Another process may hold the lock for a moment to check whether it is free.
        lock = FileLock(self.store.root / "supervisor.lock", timeout=2)
        try:
            lock.acquire()
        except Timeout as error:
            raise LaunchError(Launch.SUPERVISOR_RUNS, root=self.store.root) from error
        with lock:
            remove_job_variables()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._leave)
            me = Background.of(os.getpid())
            me.write(state_file(self.store))
            log.info("Supervising %s", self.store.root)
            while not self._leaving.is_set() and Background.read(state_file(self.store)) == me:
                self._step_safely()
                self._leaving.wait(self.poll_interval_s)
            self._notifications.close()
            self._deliveries.close()
            log.info("Exiting; %d jobs continue", len(self._followed))

    def step(self) -> None:
        """Check all jobs once. Raises StoreUnavailable."""
        deliver_left(self.store)
        self._memory.update()
        active = sorted(
            runs.list_ours(self.store, ACTIVE_STATUSES), key=lambda run: (run.created_at, run.run_id)
        )
        waiting = []
        for run in active:
            # A run to be resumed waits until its earlier process has ended.
            if is_started(run) or run.run_id in self._followed:
                self._followed[run.run_id] = run
            elif run.status == "RUNNING" and not is_asked_for(run):
                self._check_unclaimed(run)
            elif run.is_stopping and run.status == "SCHEDULED":
                self._end(run, "KILLED", "stopped before it was started")
            else:
                waiting.append(run)
        still_active = {run.run_id for run in active}
        followed = list(self._followed.values())
        for run in followed:
            self._follow(run, run.run_id in still_active)
        if gone := {run.run_id for run in followed} - set(self._followed):
            # Interrupted runs keep their place in the queue, before later ones.
            waiting += [run for run in runs.list_ours(self.store, ["SCHEDULED"]) if run.run_id in gone]
        # A run that was started without recording it is no longer in the queue, whatever its tags.
        try:
            self._start([run for run in line_up(waiting) if is_asked_for(run) or is_ready(run, still_active)])
        finally:
            self.engine.dispatch()
        self._deliveries.update(still_active)

    def _begin(self) -> None:
        """Catch up on the time without a supervisor. Raises StoreUnavailable."""
        self.store.open()
        deliver_left(self.store)
        self._resume_after_shutdown()
        self._notifications.catch_up()
        self._has_begun = True

    def _leave(self, signum: int, frame: FrameType | None) -> None:
        self._leaving.set()

    def _step_safely(self) -> None:
        try:
            if not self._has_begun:
                self._begin()
            self.step()
        except StoreUnavailable as error:
            if self._problem is None or error.code is not self._problem.code:  # it may last for days
                log.warning("%s Trying again.", error)
            self._problem = error
        except Exception:
            # An error with one run must not leave all the others without a supervisor.
            log.exception("Unexpected error; trying again")
            self._has_begun = True
        else:
            self._problem = None

    def _start(self, waiting: list[Run]) -> None:
        passed: list[Run] = []
        for run in waiting:
            is_here = engine_of(run) == LOCAL  # a cluster has its own queue
            if is_here and passed and not self._may_pass(run, passed):
                passed.append(run)
                continue
            try:
                if not self.engine.submit(run, self._followed.values()):
                    if is_here:
                        passed.append(run)
                    continue
            except (LaunchError, ValueError) as error:
                self._end(run, "FAILED", str(error))
            else:
                self._followed[run.run_id] = runs.get_run(self.store, run.run_id)
                log.info("Started %s (%s)", run.name, run.run_id)
                self._notifications.expect(run)

    def _may_pass(self, run: Run, passed: list[Run]) -> bool:
        """Return whether a run may start before waiting runs ahead of it, because it delays none of them."""
        if run.tags.get("job.slots"):
            return True  # it was started already, which was not recorded
        slots, host, running = self.engine.slots, os.uname().nodename, list(self._followed.values())
        taken = {slot for other in running for slot in slots_of(other)}
        if taken.issuperset(slots):
            return False
        done = runs.list_runs(self.store, TERMINAL_STATUSES)
        request, *requests = (request_of(one, [*running, *done], slots, host) for one in (run, *passed))
        # Runs that wait for devices of another kind are not affected.
        rivals = [one for one in requests if one.kind == request.kind]
        free_at = busy_until(running, done, slots, host)
        return not rivals or may_pass(
            request, rivals, [left_s for slot, left_s in free_at.items() if kind_of(slot) == request.kind]
        )

    def _follow(self, run: Run, is_active: bool) -> None:
        ended = self.engine.poll(run)
        if ended is not None:
            self._conclude(run, ended)
        elif not is_active or run.tags.get("job.request") == "resume":
            # The end of the run is recorded, but its process has not ended yet.
            since = self._ended_at.setdefault(run.run_id, time.time())
            if time.time() - since > self.ask_grace_s:
                self.engine.stop(run, force=True)
        elif run.is_stopping:
            self._escalate(run)

    def _escalate(self, run: Run) -> None:
        now = time.time()
        requested_at = float(run.tags.get("job.stop_requested_at", 0)) / 1000
        if now - requested_at < self.ask_grace_s:
            return
        terminated_at = self._terminated_at.get(run.run_id)
        if terminated_at is None:
            log.info("%s has not stopped; sending SIGTERM", run.name)
            self.engine.stop(run, force=False)
            self._terminated_at[run.run_id] = now
        elif now - terminated_at >= self.term_grace_s:
            log.info("%s has not stopped; sending SIGKILL", run.name)
            self.engine.stop(run, force=True)

    def _conclude(self, run: Run, ended: Exit) -> None:
        deliver_left(self.store, run.run_id)
        try:
            run = runs.get_run(self.store, run.run_id)
        except ValueError:
            log.info("%s was deleted", run.name)
        else:
            self._record(run, ended)
        for memory in (self._followed, self._ended_at, self._terminated_at):
            memory.pop(run.run_id, None)

    def _record(self, run: Run, ended: Exit) -> None:
        if run.tags.get("job.request") == "resume":
            records.set_tags(self.store, run.run_id, recovery.NO_PROCESS)
            log.info("%s is back in the queue", run.name)
            return
        if ended.code is not None:
            records.set_tags(self.store, run.run_id, {"job.exit_code": ended.code})
        if not run.is_active:
            log.info("%s is %s", run.name, run.status)
            self._notifications.send(run.run_id)
        elif run.is_stopping:
            self._end(run, "KILLED", "stopped on request")
        else:
            self._resume_or_fail(run, ended)

    def _resume_or_fail(self, run: Run, ended: Exit) -> None:
        memory_was_full = self._memory.has_killed
        reason = explain(
            ended,
            memory_was_full=memory_was_full,
            was_restarted=was_restarted(run),
            recorded=run.error or run.tags.get(runs.RANK_ERROR, ""),
            last_line=last_line(self.store, run.run_id),
        )
        if ran_out_of_memory(ended, memory_was_full):
            records.set_tags(self.store, run.run_id, memory_tags(run))
        elif was_interrupted(ended, memory_was_full):
            failure = self._resume(run, reason)
            if failure is None:
                return
            reason = failure
        self._end(run, "FAILED", str(reason))

    def _resume(self, run: Run, reason: Problem) -> Problem | None:
        failure = recovery.resume_automatically(self.store, run, reason, self.max_resumes)
        if failure is None:
            log.info("%s is back in the queue: %s", run.name, reason)
        return failure

    def _resume_after_shutdown(self) -> None:
        for run in runs.list_runs(self.store, ["KILLED"]):
            if runs.is_ours(self.store, run) and recovery.ended_with_the_machine(run):
                self._resume(run, Problem(Ending.SHUTDOWN))

    def _check_unclaimed(self, run: Run) -> None:
        ours = "job.submitted_at" in run.tags
        if ours and time.time() - run.created_at > UNCLAIMED_GRACE_S:
            self._end(run, "FAILED", str(Problem(Ending.INCOMPLETE)))

    def _end(self, run: Run, status: str, reason: str) -> None:
        if status == "FAILED":
            records.set_tags(self.store, run.run_id, {"job.error": reason})
        records.set_status(self.store, run.run_id, status)
        log.info("%s is %s: %s", run.name, status, reason)
        self._notifications.send(run.run_id)


def state_file(store: Store) -> Path:
    """Return the file that identifies the process of the supervisor."""
    return store.root / "supervisor.json"


def find_supervisor(store: Store) -> Background | None:
    """Return the supervisor of the store, None if none is running."""
    return Background.read(state_file(store))


def ensure_supervisor(store: Store) -> Background:
    """Return the store's supervisor; start it in the background if none is running.

    Raises:
        LaunchError: It does not start.
        StoreUnavailable: The store cannot be used. A tracking server need not answer; the supervisor waits.
    """
    store.open_patiently()
    with FileLock(store.root / "supervisor.start.lock"):
        if found := find_supervisor(store):
            return found
        log_file = store.logs / "supervisor.log"
        command = [sys.executable, "-m", "jobs", "supervise"]
        environment = store.environment
        child = start_detached(command, log_file, cwd=REPOSITORY, environment=environment)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and child.returncode is None:
            if found := find_supervisor(store):
                return found
            time.sleep(0.05)
        # A supervisor that was started manually at the same time holds the lock.
        if found := find_supervisor(store):
            return found
    raise LaunchError(Launch.SUPERVISOR, log=log_file)


def stop_supervisor(store: Store, timeout_s: float = 10.0) -> bool:
    """Stop the supervisor but not its jobs, and return whether one was running.

    Raises:
        LaunchError: It does not stop.
    """
    found = find_supervisor(store)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while find_supervisor(store):
        if time.monotonic() > deadline:
            raise LaunchError(Launch.SUPERVISOR_STAYS, pid=found.pid)
        time.sleep(0.05)
    return True
