"""Jobs as processes on this machine, each with its own device slots."""

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
from jobs.host import processes
from jobs.host.machine import describe_machine
from jobs.host.slots import count_slots, environment_of, join_slots, kind_of, slots_for, slots_of
from jobs.problems import Launch, LaunchError
from tracking import records, runs
from tracking.layout import REPOSITORY
from tracking.runs import Run
from tracking.store import Store

TRAIN = (sys.executable, "-m", "training", "fit")


class LocalEngine:
    """An engine that starts each job in its own session, with its own log file, on the requested devices.

    Args:
        store: The store with the runs.
        slots: Names such as "cpu:0" or "cuda:0"; by default, all slots of this machine.
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
        """The slots that it assigns. They can change: a GPU driver may respond later than at the start."""
        return describe_machine().slots if self._slots is None else self._slots

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start a run if enough slots are free.

        Raises:
            LaunchError: It requests more devices than there are, or its process cannot be started.
            StoreUnavailable: The store cannot be written; it is safe to try again later.
        """
        if run.tags.get("job.slots") and (pid := self._find_unrecorded(run.run_id)):
            self._record(run.run_id, pid)
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
        """Do nothing: `submit` postpones nothing."""

    def poll(self, run: Run) -> Exit | None:
        """Return how the process of a run ended, None while it runs."""
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
        """Send SIGTERM to the process of a run or, with force, SIGKILL to it and all that it has started."""
        process = self._find(run)
        if process is None:
            return
        if force:
            processes.kill_session(process.pid, process.create_time())
        else:
            # Not to the whole group: the end of its data loader workers would fail a job that is saving.
            with suppress(psutil.Error):
                process.send_signal(signal.SIGTERM)

    def _find(self, run: Run) -> psutil.Process | None:
        return processes.find_process(pid_of(run), create_time_of(run), run.run_id)

    def _start(self, run: Run, slots: Sequence[str], asks_for_any: bool) -> None:
        command = [*self.command, "--config", str(self.store.config_file(run.run_id))]
        if asks_for_any and kind_of(slots[0]) != "cpu":
            # The job must train on the GPU that it was assigned, or report why it cannot.
            command += ["--trainer.accelerator", kind_of(slots[0])]
        command += ["--run_id", run.run_id]
        # Written before the process exists, so that a later supervisor knows to look for it.
        records.set_tags(
            self.store,
            run.run_id,
            {"job.slots": join_slots(slots), "job.host": os.uname().nodename, "job.request": ""},
        )
        environment = {**self.store.environment, "PYTHONUNBUFFERED": "1", **environment_of(slots)}
        log_file = self.store.log_file(run.run_id)
        # A resumed run keeps its earlier output.
        with log_file.open("a" if run.tags.get("job.request") == "resume" else "w", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(command)}\n")
        try:
            child = processes.start_detached(command, log_file, cwd=REPOSITORY, environment=environment)
        except OSError as error:
            raise LaunchError(Launch.NO_PROCESS, reason=error.strerror) from error
        self._children[run.run_id] = child
        self._record(run.run_id, child.pid)

    def _find_unrecorded(self, run_id: str) -> int | None:
        """Return the process of a run whose start was not recorded, because the supervisor failed then."""
        if run_id in self._children:
            return self._children[run_id].pid
        process = processes.find_by_word(run_id)
        return process.pid if process else None

    def _record(self, run_id: str, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):
            create_time = psutil.Process(pid).create_time()
            records.set_tags(self.store, run_id, {"job.pid": pid, "job.create_time": repr(create_time)})


def pid_of(run: Run) -> int:
    """Return the number of a run's process."""
    return int(run.tags["job.pid"])


def create_time_of(run: Run) -> float:
    """Return the start time of a run's process, in Unix seconds."""
    return float(run.tags.get("job.create_time") or "nan")
