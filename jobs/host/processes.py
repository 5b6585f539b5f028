"""Processes of this machine, told apart by their number *and* the moment they began."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# A process's start is computed from the boot time, which a correction of the clock moves a little.
CREATE_TIME_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Background:
    """A process that outlives whoever started it, as written into a file for others to find.

    Attributes:
        pid: Its number.
        create_time: When it began, unix seconds.
        port: Where it listens, 0 when it does not.
    """

    pid: int
    create_time: float
    port: int = 0

    def write(self, file: Path) -> None:
        """Replace the file at once, so that no reader sees half of it."""
        draft = file.with_suffix(f".{self.pid}")
        draft.write_text(json.dumps(self.__dict__), encoding="utf-8")
        draft.replace(file)

    @classmethod
    def of(cls, pid: int, port: int = 0) -> "Background":
        """A living process. Raises psutil.NoSuchProcess when it is not."""
        return cls(pid, psutil.Process(pid).create_time(), port)

    @classmethod
    def read(cls, file: Path) -> "Background | None":
        """What the file says if that process still lives, otherwise None."""
        try:
            background = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return background if find_process(background.pid, background.create_time) else None


def find_process(pid: int, create_time: float, word: str = "") -> psutil.Process | None:
    """The living process with that number, if it is the same one and not a later one that got its number.

    Args:
        pid: The number.
        create_time: When it began, unix seconds.
        word: If its command line contains this, it is the one even when the clock was set since.
    """
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if abs(process.create_time() - create_time) <= CREATE_TIME_TOLERANCE_S:
            return process
        if word and any(word in argument for argument in process.cmdline()):
            return process
    return None


def find_by_word(word: str) -> psutil.Process | None:
    """The living process that leads a session and has `word` among its arguments."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if word in process.cmdline() and os.getsid(process.pid) == process.pid:
                return process
    return None


def start_detached(
    command: Sequence[str], log_file: Path, *, cwd: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own that writes to a file and reads nothing.

    Its `returncode` is None until it has ended, without any need to poll.

    Args:
        command: Program and arguments; no shell sees them.
        log_file: Gets its output appended.
        cwd: Where it runs.
        environment: Added to ours.

    Raises:
        OSError: It cannot be started.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, **environment},
        )
    # Whenever it ends, its exit code is noted, and it does not stay behind as a zombie.
    threading.Thread(target=process.wait, name=f"wait-{process.pid}", daemon=True).start()
    return process


def kill_session(pid: int, create_time: float) -> None:
    """Kill, at once, a process, all its descendants, and whatever is left of the session it leads or led."""
    for _ in range(3):  # a fork may slip between looking and killing
        doomed = _family(pid, create_time)
        for process in doomed:
            with suppress(psutil.Error):
                process.kill()
        if not doomed:
            return
        psutil.wait_procs(doomed, timeout=1)


def _family(pid: int, create_time: float) -> list[psutil.Process]:
    leader = find_process(pid, create_time)
    family = set()
    if leader is None and _is_other(pid, create_time):
        return []
    if leader is not None:
        with suppress(psutil.Error):
            family = {leader, *leader.children(recursive=True)}
    if leader is not None and _session(pid) != pid:
        return list(family)  # started by hand: its session is somebody's shell
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _session(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                family.add(process)
    return list(family)


def _is_other(pid: int, create_time: float) -> bool:
    """Whether the number now belongs to a later process."""
    try:
        return abs(psutil.Process(pid).create_time() - create_time) > CREATE_TIME_TOLERANCE_S
    except psutil.Error:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
