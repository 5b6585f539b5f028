"""Commands on data (`python -m datamodules ...`) that outlive the page that started them.

They train nothing and are not MLflow runs. Each has a folder under `mlruns/data_jobs/` with the request
(`job.json`), the progress file of the command, and its log. The command itself writes how it ended; one that
is not running and has not written its end was killed.
"""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_hex

import psutil
from filelock import FileLock

from datamodules.progress import Report, read_progress
from jobs.host.logs import read_tail
from jobs.host.processes import find_process, kill_session, start_detached
from jobs.problems import DataJobEnding, Launch, LaunchError, Refused
from problems import InvalidValue, Problem
from tracking.layout import REPOSITORY
from tracking.store import Store
from tracking.unavailable import reported

# The time that a command has to finish its current item; after that, it can be killed.
STOP_GRACE_S = 15.0
PROGRAM = (sys.executable, "-m", "datamodules")
FOLDER, RECORD, PROGRESS, LOG = "data_jobs", "job.json", "progress.json", "log.txt"
STATUSES = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}


@dataclass(frozen=True)
class DataJob:
    """One command.

    Attributes:
        key: The name of its folder.
        words: The arguments of `python -m datamodules`.
        started_at: The time of the request in Unix seconds.
        pid: The number of its process.
        create_time: The start time of that process in Unix seconds.
        stopped_at: When it was asked to stop, in Unix seconds; 0 if it was not.
    """

    key: str
    words: tuple[str, ...]
    started_at: float
    pid: int
    create_time: float
    stopped_at: float = 0.0

    @property
    def command(self) -> str:
        """The command for a shell."""
        return command_line(self.words)


@dataclass(frozen=True)
class JobState:
    """The state of a command.

    Attributes:
        job: The command.
        status: RUNNING, FINISHED, FAILED or KILLED, the terms of MLflow.
        report: Its last progress report, None if it has written none.
        message: One sentence on how it ended, empty while it runs.
        ended_at: When it ended in Unix seconds, None while it runs.
    """

    job: DataJob
    status: str
    report: Report | None
    message: str = ""
    ended_at: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether its process is running."""
        return self.status == "RUNNING"

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop and has not ended yet."""
        return self.is_active and self.job.stopped_at > 0

    @property
    def can_be_killed(self) -> bool:
        """Whether it was asked to stop and has exceeded its grace period."""
        return self.is_stopping and time.time() - self.job.stopped_at > STOP_GRACE_S


def command_line(words: Sequence[str]) -> str:
    """Return the shell command with these arguments, to be run from the folder of the repository."""
    return shlex.join([".venv/bin/python", "-m", "datamodules", *words])


def start(store: Store, words: Sequence[str], program: Sequence[str] = PROGRAM) -> DataJob:
    """Start a command in the background, unless the same command is already running.

    Args:
        store: The store for its folder.
        words: The arguments of `python -m datamodules`; `--progress FILE` is added.
        program: The program that takes the arguments.

    Raises:
        LaunchError: The command cannot be started.
        StoreUnavailable: The store cannot be written.
    """
    with reported(store), FileLock(store.root / "data_jobs.lock"):
        for state in list_jobs(store):
            if state.is_active and state.job.words == tuple(words):
                return state.job
        folder = _folder(store, f"{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(2)}")
        folder.mkdir(parents=True)
        log = folder / LOG
        log.write_text(f"$ {command_line(words)}\n", encoding="utf-8")
        command = [*program, *words, "--progress", str(folder / PROGRESS)]
        environment = {**store.environment, "PYTHONUNBUFFERED": "1"}
        try:
            child = start_detached(command, log, cwd=REPOSITORY, environment=environment)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise LaunchError(Launch.NO_COMMAND, reason=error.strerror) from error
        create_time = 0.0
        with suppress(psutil.NoSuchProcess):
            create_time = psutil.Process(child.pid).create_time()
        job = DataJob(folder.name, tuple(words), time.time(), child.pid, create_time)
        _write(store, job)
        return job


def list_jobs(store: Store) -> list[JobState]:
    """Return the state of every command in the store, newest first. Raises StoreUnavailable."""
    with reported(store):
        jobs = sorted(_read_all(store), key=lambda job: job.started_at, reverse=True)
        return [state_of(store, job) for job in jobs]


def state_of(store: Store, job: DataJob) -> JobState:
    """Return the current state of a command."""
    # The process is checked first: if it ends now, it has written its end before the file is read.
    lives = find_process(job.pid, job.create_time, job.key) is not None
    folder = _folder(store, job.key)
    report = read_progress(folder / PROGRESS)
    if lives:
        return JobState(job, "RUNNING", report)
    files = [file for file in (folder / PROGRESS, folder / LOG) if file.is_file()]
    ended_at = max((file.stat().st_mtime for file in files), default=job.started_at)
    if report is not None and report.state != "running":
        return JobState(job, STATUSES[report.state], report, report.message, ended_at)
    if job.stopped_at:
        return JobState(job, "KILLED", report, str(Problem(DataJobEnding.STOPPED)), ended_at)
    # A command that refuses its arguments reports no progress, and prints one sentence at the end of its log.
    last = read_tail(folder / LOG, 1)
    has_refused = report is None and last and not last.startswith("$ ")
    message = last if has_refused else str(Problem(DataJobEnding.UNSEEN))
    return JobState(job, "FAILED", report, message, ended_at)


def request_stop(store: Store, job: DataJob) -> None:
    """Ask a command to stop after its current item; starting it again continues from there.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    with reported(store), suppress(psutil.Error):
        if process := find_process(job.pid, job.create_time, job.key):
            _write(store, replace(job, stopped_at=job.stopped_at or time.time()))
            process.terminate()


def kill(job: DataJob) -> None:
    """Kill a command and all processes that it has started."""
    kill_session(job.pid, job.create_time)


def delete(store: Store, job: DataJob) -> None:
    """Delete the record and the log of a command that has ended.

    Raises:
        InvalidValue: It is running.
        StoreUnavailable: The store cannot be written.
    """
    if state_of(store, job).is_active:
        raise InvalidValue(Refused.NOT_DELETABLE, name=job.command, status="RUNNING")
    with reported(store):
        shutil.rmtree(_folder(store, job.key))


def read_job_log(store: Store, job: DataJob, num_lines: int = 200) -> str:
    """Return the last lines that a command has printed."""
    return read_tail(_folder(store, job.key) / LOG, num_lines)


def stop_all(store: Store) -> int:
    """Ask every command to stop, kill those that do not stop in time, and return how many there were."""
    active = [state.job for state in list_jobs(store) if state.is_active]
    for job in active:
        request_stop(store, job)
    deadline = time.monotonic() + STOP_GRACE_S
    while time.monotonic() < deadline and any(state_of(store, job).is_active for job in active):
        time.sleep(0.2)
    for job in active:
        if state_of(store, job).is_active:
            kill(job)
    return len(active)


def _folder(store: Store, key: str) -> Path:
    return store.root / FOLDER / key


def _read_all(store: Store) -> Iterator[DataJob]:
    for file in (store.root / FOLDER).glob(f"*/{RECORD}"):
        with suppress(OSError, ValueError, TypeError):  # deleted or damaged in the meantime
            record = json.loads(file.read_text(encoding="utf-8"))
            yield DataJob(**{**record, "key": file.parent.name, "words": tuple(record["words"])})


def _write(store: Store, job: DataJob) -> None:
    file = _folder(store, job.key) / RECORD
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(asdict(job)), encoding="utf-8")
    draft.replace(file)
