"""Why a process ended that left no record of it: one sentence, and whether the run should go on by itself."""

import signal
import time
from collections import deque
from pathlib import Path

import psutil

from jobs.engines import LOCAL, Exit, engine_of
from jobs.engines.local import create_time_of
from jobs.host.logs import read_tail
from tracking.runs import Run
from tracking.store import Store

# Sent from outside, by whoever ends processes; all others are a process's own doing.
OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
# What a process with much memory may take to go once the kernel has decided so.
WINDOW_S = 30.0
VMSTAT = Path("/proc/vmstat")


class MemoryWatch:
    """Whether the kernel has lately ended a process because the main memory was full."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def look(self) -> None:
        """Read the kernel's counter; to be called at every look at the jobs."""
        now_s = time.monotonic()
        self._counts.append((now_s, count_memory_kills()))
        while len(self._counts) > 2 and now_s - self._counts[1][0] > WINDOW_S:
            self._counts.popleft()

    @property
    def has_killed(self) -> bool:
        """Whether the counter rose within the last seconds."""
        return bool(self._counts) and self._counts[-1][1] > self._counts[0][1]


def count_memory_kills() -> int:
    """How many processes the kernel has ended for lack of memory; 0 where it does not say."""
    try:
        lines = VMSTAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def is_lost(ended: Exit, memory_was_full: bool) -> bool:
    """Whether something from outside ended the process, so that the run may go on as if nothing had been."""
    if ended.code is None:
        return True
    return -ended.code in OUTSIDE and not memory_was_full


def ran_out_of_memory(ended: Exit, memory_was_full: bool) -> bool:
    """Whether the kernel, here or on a cluster's node, killed the process for lack of main memory."""
    return (ended.code == -signal.SIGKILL and memory_was_full) or "memory" in ended.reason


def explain(
    ended: Exit, *, memory_was_full: bool = False, was_restarted: bool = False, told: str = "", said: str = ""
) -> str:
    """One sentence why a process that left no terminal record is gone.

    Args:
        ended: How.
        memory_was_full: Whether the kernel has lately ended processes for lack of memory.
        was_restarted: Whether the machine was restarted since it began.
        told: What one of its processes has recorded about the end of another.
        said: The last line of its log.
    """
    if ended.reason:
        return ended.reason
    if was_restarted:
        return "The machine was restarted while it trained; see the log."
    if ran_out_of_memory(ended, memory_was_full):
        return (
            "The kernel killed the training process because the main memory was full; "
            "try a smaller batch or fewer workers."
        )
    if told:
        return told
    if ended.code is None:
        return (
            "The training process is gone, and nobody saw it go (killed, or lost its machine); see the log."
        )
    if ended.code < 0:
        return f"The training process was killed by {signal_name(-ended.code)}; see the log."
    result = "but recorded no result" if ended.code == 0 else "without recording why"
    words = f"The training process ended with exit code {ended.code} {result}"
    return f"{words}; its last words: {said}" if said and ended.code else f"{words}; see the log."


def signal_name(number: int) -> str:
    """Its name, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def was_restarted(run: Run) -> bool:
    """Whether the machine was restarted since the run's process began."""
    return engine_of(run) == LOCAL and create_time_of(run) < psutil.boot_time()


def last_words(store: Store, run_id: str) -> str:
    """The last line that a job printed, empty when that is only the command it was started with."""
    line = read_tail(store.log_file(run_id), 1).strip()
    return "" if line.startswith("$ ") else line[:300]
