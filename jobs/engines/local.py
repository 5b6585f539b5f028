"""Jobs as processes of this machine, each in device slots of its own."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil
import yaml

from jobs.engines import Exit
from jobs.errors import LaunchError
from jobs.host import processes
from jobs.host.machine import describe_machine
from jobs.host.slots import count_slots, environment_of, join_slots, kind_of, slots_for, slots_of
from tracking import records, runs
from tracking.layout import REPOSITORY
from tracking.runs import Run
from tracking.store import Store

TRAIN = (sys.executable, "-m", "training", "fit")


class LocalEngine:
    """Starts each job in its own session, with its own log file, in as many slots as it wants devices.

    Args:
        store: Where the runs are.
        slots: Names such as "cpu:0" or "cuda:0"; those of this machine by default.
        command: The training program; `--config FILE --run_id ID` is added.
    """

    def __init__(
        self, store: Store, slots: Sequence[str] | None = None, command: Sequence[str] = TRAIN
    ) -> None:
        self.store = store
        self._slots = None if slots is None else tuple(slots)
        self.command = tuple(command)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def slots(self) -> tuple[str, ...]:
        """The devices it hands out; a driver that did not answer at first may do so later."""
        return describe_machine().slots if self._slots is None else self._slots

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start the run if enough slots are free.

        Raises:
            LaunchError: It wants more devices than there are, or its process cannot be started.
            StoreUnavailable: The store cannot be written; asking again later is safe.
        """
        if run.tags.get("job.slots") and (lost := self._find_lost(run.run_id)):
            self._record(run.run_id, lost)
            return True
        trainer = yaml.safe_load(runs.read_config(self.store, run.run_id)).get("trainer", {})
        wanted = count_slots(trainer, self.slots)
        taken = {slot for other in busy for slot in slots_of(other)}
        free = [slot for slot in slots_for(trainer, self.slots) if slot not in taken]
        if len(free) < wanted:
            return False
        self._start(run, free[:wanted], asks_for_any=trainer.get("accelerator", "auto") == "auto")
        return True

    def dispatch(self) -> None:
        """Nothing is put off."""

    def poll(self, run: Run) -> Exit | None:
        """How its process ended, None while it lives."""
        child = self._children.get(run.run_id)
        if child is not None:
            if child.returncode is None:
                return None
            del self._children[run.run_id]
            processes.kill_session(child.pid, create_time_of(run))
            return Exit(child.returncode)
        if self._find(run):
            return None
        processes.kill_session(pid_of(run), create_time_of(run))
        return Exit(None)

    def stop(self, run: Run, *, force: bool) -> None:
        """Send SIGTERM to its process or, with force, SIGKILL to it and everything it has started."""
        process = self._find(run)
        if process is None:
            return
        if force:
            processes.kill_session(process.pid, process.create_time())
        else:
            # Not to the whole group: loader processes would die of it and fail a job that is saving its work.
            with suppress(psutil.Error):
                process.send_signal(signal.SIGTERM)

    def _find(self, run: Run) -> psutil.Process | None:
        return processes.find_process(pid_of(run), create_time_of(run), run.run_id)

    def _start(self, run: Run, slots: Sequence[str], asks_for_any: bool) -> None:
        command = [*self.command, "--config", str(self.store.config_file(run.run_id))]
        if asks_for_any and kind_of(slots[0]) != "cpu":
            # It trains on the GPU that it was given, or says why it cannot.
            command += ["--trainer.accelerator", kind_of(slots[0])]
        command += ["--run_id", run.run_id]
        # Before the process exists, so that a successor knows to look for it.
        records.set_tags(
            self.store,
            run.run_id,
            {"job.slots": join_slots(slots), "job.host": os.uname().nodename, "job.request": ""},
        )
        environment = {**self.store.environment, "PYTHONUNBUFFERED": "1", **environment_of(slots)}
        log_file = self.store.log_file(run.run_id)
        # A run that goes on keeps what it has printed.
        with log_file.open("a" if run.tags.get("job.request") == "resume" else "w", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(command)}\n")
        try:
            child = processes.start_detached(command, log_file, cwd=REPOSITORY, environment=environment)
        except OSError as error:
            raise LaunchError(f"The training process could not be started: {error.strerror}.") from error
        self._children[run.run_id] = child
        self._record(run.run_id, child.pid)

    def _find_lost(self, run_id: str) -> int | None:
        """The process of a run that was started but not recorded: its starter died, or could not write."""
        if run_id in self._children:
            return self._children[run_id].pid
        process = processes.find_by_word(run_id)
        return process.pid if process else None

    def _record(self, run_id: str, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):
            create_time = psutil.Process(pid).create_time()
            records.set_tags(self.store, run_id, {"job.pid": pid, "job.create_time": repr(create_time)})


def pid_of(run: Run) -> int:
    """The number of its process."""
    return int(run.tags["job.pid"])


def create_time_of(run: Run) -> float:
    """When its process began, unix seconds."""
    return float(run.tags.get("job.create_time") or "nan")
