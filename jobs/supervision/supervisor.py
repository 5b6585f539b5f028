"""The one process per store that turns SCHEDULED runs into processes and sees to it that each one ends."""

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
from jobs.engines.slurm_cluster import forget_wishes
from jobs.errors import LaunchError
from jobs.host.processes import Background, start_detached
from jobs.host.slots import kind_of, slots_of
from jobs.scheduling.backfill import may_pass
from jobs.scheduling.forecast import busy_until, request_of
from jobs.scheduling.queue import is_ready, line_up
from jobs.submission.retry import memory_tags
from jobs.supervision import recovery
from jobs.supervision.deliveries import Deliveries
from jobs.supervision.endings import (
    MemoryWatch,
    explain,
    is_lost,
    last_words,
    ran_out_of_memory,
    was_restarted,
)
from jobs.supervision.notifications import Notifications
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
# A run is RUNNING for moments before it is complete, and for the seconds in which a process started by
# hand has not said its number yet.
UNCLAIMED_GRACE_S = 120.0

log = logging.getLogger("jobs.supervision.supervisor")


class Supervisor:
    """Starts jobs in the order of the queue, follows them, and ends those that were asked to stop.

    All it knows is in the store, so that a successor finds everything as it was.

    Args:
        store: Where the runs are.
        engine: Where the jobs run.
        ask_grace_s: How long a job may take to end after it was asked to.
        term_grace_s: How long it may then take after SIGTERM, before everything of it is killed.
        poll_interval_s: How often to look.
        max_resumes: How often a run that lost its process goes on by itself without a newer checkpoint.
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
        self._complaint = ""
        self._followed: dict[str, Run] = {}
        self._ended_at: dict[str, float] = {}
        self._terminated_at: dict[str, float] = {}

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; jobs go on without it.

        Raises:
            LaunchError: Another supervisor has this store.
            StoreUnavailable: The store cannot be used; for a server that is away it waits.
        """
        self.store.open_patiently()
        # Whoever only looks whether the lock is free holds it for a moment.
        lock = FileLock(self.store.root / "supervisor.lock", timeout=2)
        try:
            lock.acquire()
        except Timeout as error:
            raise LaunchError(f"Another supervisor looks after {self.store.root} already.") from error
        with lock:
            forget_wishes()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._leave)
            me = Background.of(os.getpid())
            me.write(state_file(self.store))
            log.info("looking after %s", self.store.root)
            while not self._leaving.is_set() and Background.read(state_file(self.store)) == me:
                self._step_safely()
                self._leaving.wait(self.poll_interval_s)
            self._notifications.close()
            self._deliveries.close()
            log.info("leaving; %d jobs go on", len(self._followed))

    def step(self) -> None:
        """Look once at everything. Raises StoreUnavailable."""
        deliver_left(self.store)
        self._memory.look()
        active = sorted(
            runs.list_ours(self.store, ACTIVE_STATUSES), key=lambda run: (run.created_at, run.run_id)
        )
        waiting = []
        for run in active:
            # One that is to go on waits for its earlier process to be seen off.
            if is_started(run) or run.run_id in self._followed:
                self._followed[run.run_id] = run
            elif run.status == "RUNNING" and not is_asked_for(run):
                self._check_unclaimed(run)
            elif run.is_stopping and run.status == "SCHEDULED":
                self._end(run, "KILLED", "stopped before it began")
            else:
                waiting.append(run)
        still_active = {run.run_id for run in active}
        followed = list(self._followed.values())
        for run in followed:
            self._follow(run, run.run_id in still_active)
        if gone := {run.run_id for run in followed} - set(self._followed):
            # What lost its process goes on in its turn, before what came later.
            waiting += [run for run in runs.list_ours(self.store, ["SCHEDULED"]) if run.run_id in gone]
        # One that was started and not recorded yet is no longer in the queue, whatever its tags say.
        try:
            self._start([run for run in line_up(waiting) if is_asked_for(run) or is_ready(run, still_active)])
        finally:
            self.engine.dispatch()
        self._deliveries.look(still_active)

    def _begin(self) -> None:
        """Make up for the time in which no supervisor lived. Raises StoreUnavailable."""
        self.store.open()
        deliver_left(self.store)
        self._take_up_what_ended_with_the_machine()
        self._notifications.make_up()
        self._has_begun = True

    def _leave(self, signum: int, frame: FrameType | None) -> None:
        self._leaving.set()

    def _step_safely(self) -> None:
        try:
            if not self._has_begun:
                self._begin()
            self.step()
        except StoreUnavailable as error:
            if str(error) != self._complaint:  # a server may be away for days
                log.warning("%s Trying again.", error)
            self._complaint = str(error)
        except Exception:
            # One odd run must not leave all the others without a supervisor.
            log.exception("unexpected; trying again")
            self._has_begun = True
        else:
            self._complaint = ""

    def _start(self, waiting: list[Run]) -> None:
        passed: list[Run] = []
        for run in waiting:
            is_here = engine_of(run) == LOCAL  # a cluster has a line of its own
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
                log.info("started %s (%s)", run.name, run.run_id)
                self._notifications.expect(run)

    def _may_pass(self, run: Run, passed: list[Run]) -> bool:
        """Whether a run may start while others that came first wait, because it delays none of them."""
        if run.tags.get("job.slots"):
            return True  # it was started already, only not recorded
        slots, host, running = self.engine.slots, os.uname().nodename, list(self._followed.values())
        taken = {slot for other in running for slot in slots_of(other)}
        if taken.issuperset(slots):
            return False
        done = runs.list_runs(self.store, TERMINAL_STATUSES)
        request, *requests = (request_of(one, [*running, *done], slots, host) for one in (run, *passed))
        # Who waits for devices of another kind is not passed.
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
            # Its record was complete, but the process has not gone yet.
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
            log.info("%s does not stop: SIGTERM", run.name)
            self.engine.stop(run, force=False)
            self._terminated_at[run.run_id] = now
        elif now - terminated_at >= self.term_grace_s:
            log.info("%s does not stop: SIGKILL", run.name)
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
            log.info("%s goes on in its turn", run.name)
            return
        if ended.code is not None:
            records.set_tags(self.store, run.run_id, {"job.exit_code": ended.code})
        if not run.is_active:
            log.info("%s is %s", run.name, run.status)
            self._notifications.tell(run.run_id)
        elif run.is_stopping:
            self._end(run, "KILLED", "stopped on request")
        else:
            self._give_up_or_go_on(run, ended)

    def _give_up_or_go_on(self, run: Run, ended: Exit) -> None:
        memory_was_full = self._memory.has_killed
        reason = explain(
            ended,
            memory_was_full=memory_was_full,
            was_restarted=was_restarted(run),
            told=run.error or run.tags.get(runs.RANK_ERROR, ""),
            said=last_words(self.store, run.run_id),
        )
        if ran_out_of_memory(ended, memory_was_full):
            records.set_tags(self.store, run.run_id, memory_tags(run))
        elif is_lost(ended, memory_was_full):
            reason, why = recovery.go_on(self.store, run, reason, self.max_resumes), reason
            if not reason:
                log.info("%s goes on in its turn: %s", run.name, why)
                return
        self._end(run, "FAILED", reason)

    def _take_up_what_ended_with_the_machine(self) -> None:
        for run in runs.list_runs(self.store, ["KILLED"]):
            if runs.is_ours(self.store, run) and recovery.ended_with_the_machine(run):
                reason = "The machine was shut down while it trained."
                if not recovery.go_on(self.store, run, reason, self.max_resumes):
                    log.info("%s goes on in its turn: %s", run.name, reason)

    def _check_unclaimed(self, run: Run) -> None:
        ours = "job.submitted_at" in run.tags
        if ours and time.time() - run.created_at > UNCLAIMED_GRACE_S:
            self._end(
                run, "FAILED", "Whoever submitted this run ended before it was complete; submit it again."
            )

    def _end(self, run: Run, status: str, reason: str) -> None:
        if status == "FAILED":
            records.set_tags(self.store, run.run_id, {"job.error": reason})
        records.set_status(self.store, run.run_id, status)
        log.info("%s is %s: %s", run.name, status, reason)
        self._notifications.tell(run.run_id)


def state_file(store: Store) -> Path:
    """Says which process the supervisor is."""
    return store.root / "supervisor.json"


def find_supervisor(store: Store) -> Background | None:
    """The supervisor of the store if it lives."""
    return Background.read(state_file(store))


def ensure_supervisor(store: Store) -> Background:
    """Return the store's supervisor, started in the background unless it lives already.

    Raises:
        LaunchError: It does not start; the message names its log.
        StoreUnavailable: The store cannot be used; a server that is away is waited for by the supervisor.
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
        # Started by hand in this very moment, it holds the lock that ours could not get.
        if found := find_supervisor(store):
            return found
    raise LaunchError(f"The supervisor did not start; {log_file} says why.")


def stop_supervisor(store: Store, timeout_s: float = 10.0) -> bool:
    """End the supervisor, not its jobs; whether there was one. Raises LaunchError when it does not end."""
    found = find_supervisor(store)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while find_supervisor(store):
        if time.monotonic() > deadline:
            raise LaunchError(f"The supervisor (process {found.pid}) does not end.")
        time.sleep(0.05)
    return True
