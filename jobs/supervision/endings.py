"""Why a process ended without recording it, and whether its run should be resumed automatically."""

import signal
import time
from collections import deque
from pathlib import Path

import psutil

from jobs.engines import LOCAL, Exit, engine_of
from jobs.engines.local import create_time_of
from jobs.host.logs import read_tail
from jobs.problems import ClusterEnding, Ending
from problems import Problem
from tracking.runs import Run
from tracking.store import Store

# Signals that come from outside; all others are caused by the process itself.
OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
# A process with much memory may take this long to end after the kernel has killed it.
WINDOW_S = 30.0
VMSTAT = Path("/proc/vmstat")


class MemoryWatch:
    """Detects whether the kernel has recently killed a process because the main memory was full."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def update(self) -> None:
        """Read the kernel's counter; to be called in every step of the supervisor."""
        now_s = time.monotonic()
        self._counts.append((now_s, count_memory_kills()))
        while len(self._counts) > 2 and now_s - self._counts[1][0] > WINDOW_S:
            self._counts.popleft()

    @property
    def has_killed(self) -> bool:
        """Whether the counter has increased within the last seconds."""
        return bool(self._counts) and self._counts[-1][1] > self._counts[0][1]


def count_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 where it does not count them."""
    try:
        lines = VMSTAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def was_interrupted(ended: Exit, memory_was_full: bool) -> bool:
    """Return whether the process was ended from outside, so that the run may simply be resumed."""
    if ended.code is None:
        return True
    return -ended.code in OUTSIDE and not memory_was_full


def ran_out_of_memory(ended: Exit, memory_was_full: bool) -> bool:
    """Return whether the process was killed for lack of main memory, here or on a node of a cluster."""
    if ended.cause is ClusterEnding.OUT_OF_MEMORY:
        return True
    return ended.code == -signal.SIGKILL and memory_was_full


def explain(
    ended: Exit,
    *,
    memory_was_full: bool = False,
    was_restarted: bool = False,
    recorded: str = "",
    last_line: str = "",
) -> Problem:
    """Explain why a process ended without recording its end.

    Args:
        ended: How the process ended.
        memory_was_full: Whether the kernel has recently killed processes for lack of memory.
        was_restarted: Whether the machine was restarted since the process started.
        recorded: What another process of the job has recorded about this end.
        last_line: The last line of the log.
    """
    if ended.cause:
        return Problem(ended.cause, **ended.values)
    if was_restarted:
        return Problem(Ending.RESTART)
    if ran_out_of_memory(ended, memory_was_full):
        return Problem(Ending.OUT_OF_MEMORY)
    if recorded:
        return Problem(Ending.RECORDED, reason=recorded)
    if ended.code is None:
        return Problem(Ending.UNSEEN)
    if ended.code < 0:
        return Problem(Ending.SIGNAL, signal=signal_name(-ended.code))
    if ended.code == 0:
        return Problem(Ending.NO_RESULT)
    return Problem(Ending.LAST_LINE if last_line else Ending.EXIT_CODE, exit_code=ended.code, line=last_line)


def signal_name(number: int) -> str:
    """Return the name of a signal, or its number if it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def was_restarted(run: Run) -> bool:
    """Return whether the machine was restarted since the run's process started."""
    return engine_of(run) == LOCAL and create_time_of(run) < psutil.boot_time()


def last_line(store: Store, run_id: str) -> str:
    """Return the last line that a job printed, empty if its log holds only the command that started it."""
    line = read_tail(store.log_file(run_id), 1).strip()
    return "" if line.startswith("$ ") else line[:300]
