"""Telling somebody that a run has finished or failed: a webhook, or a command of the user's.

The settings are in `notify.yaml` in the store's folder, or in the environment of the supervisor, which wins::

    webhook: https://example.org/hook      # ARENA_WEBHOOK
    command: [notify-send, convnet-arena]  # ARENA_NOTIFY_COMMAND, words as in a shell, which none sees

The webhook gets a POST with JSON. The command gets one sentence as its last word and the JSON on its input.
"""

import json
import logging
import os
import queue
import shlex
import subprocess
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import psutil
import yaml

from jobs.host import processes
from tracking import records, runs
from tracking.runs import Run
from tracking.store import Store

FILE = "notify.yaml"
WEBHOOK, COMMAND = "ARENA_WEBHOOK", "ARENA_NOTIFY_COMMAND"
TOLD = ("FINISHED", "FAILED")
# The tag of a run whose end is to be told, also by a supervisor that finds it ended.
NOTIFY, DUE, SENT = "job.notify", "due", "sent"
# The tag that says why somebody was not told, empty when everybody was.
PROBLEM = "job.notify_problem"
WEBHOOK_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
# Before the second and the third attempt of a webhook.
PAUSES_S = (1.0, 5.0)

log = logging.getLogger("jobs.supervision.notifications")


@dataclass(frozen=True)
class Settings:
    """Whom to tell; nobody by default.

    Attributes:
        webhook: An http or https address.
        command: A program and its arguments.
    """

    webhook: str = ""
    command: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.webhook or self.command)


class Notifications:
    """Tells what has ended, one after the other, beside whatever else the supervisor does.

    Nothing that goes wrong here, or takes long, reaches the supervisor: it is in its log.

    Args:
        store: Where the runs are, and the settings.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def expect(self, run: Run) -> None:
        """Note that the end of a run, which has just started, is to be told. Raises StoreUnavailable."""
        if self._settings():
            records.set_tags(self.store, run.run_id, {NOTIFY: DUE})

    def tell(self, run_id: str) -> None:
        """Tell that a run has ended, if anybody wants to know; returns at once."""
        try:
            if not read_settings(self.store):
                return
        except ValueError:
            pass  # the run is to say so
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
            self._thread.start()
        self._ended.put(run_id)

    def make_up(self) -> None:
        """Tell what ended while no supervisor lived. Raises StoreUnavailable."""
        if self._settings():
            for run in runs.list_runs(self.store, TOLD):
                if run.tags.get(NOTIFY) == DUE and runs.is_ours(self.store, run):
                    self.tell(run.run_id)

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is being told, but not for long."""
        if self._thread is not None:
            self._ended.put(None)
            self._thread.join(timeout_s)

    def _settings(self) -> Settings:
        try:
            return read_settings(self.store)
        except ValueError as error:
            log.warning("%s", error)
            return Settings()

    def _work(self) -> None:
        while (run_id := self._ended.get()) is not None:
            try:
                run = runs.get_run(self.store, run_id)
                if run.status in TOLD:
                    records.set_tags(self.store, run_id, {NOTIFY: SENT, PROBLEM: self._notify(run)})
            except Exception as error:  # a thread that dies would keep all later ones from being told
                log.warning("%s: %s", run_id, error)

    def _notify(self, run: Run) -> str:
        """Tell of a run. Returns what was wrong."""
        try:
            return notify(read_settings(self.store), run)
        except ValueError as error:
            log.warning("%s", error)
            return str(error)


def read_settings(store: Store, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read whom to tell.

    Raises:
        ValueError: The file or a value is not what it must be; one sentence.
    """
    file = store.root / FILE
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read as YAML: {str(error).splitlines()[0]}.") from error
    given = {} if given is None else given
    if not isinstance(given, dict) or not set(given) <= {"webhook", "command"}:
        raise ValueError(f"{file} must name webhook, command or both, and nothing else.")
    webhook = environment.get(WEBHOOK) or given.get("webhook") or ""
    try:
        command = shlex.split(environment.get(COMMAND, "")) or given.get("command") or []
    except ValueError as error:
        raise ValueError(f"{COMMAND} cannot be read as words: {error}.") from None
    if not isinstance(webhook, str) or (webhook and not _is_address(webhook)):
        raise ValueError("The webhook must be an address that begins with http:// or https://.")
    if not isinstance(command, list) or not all(isinstance(word, str) and word for word in command):
        raise ValueError("The command must be a list of words, such as [notify-send, convnet-arena].")
    return Settings(webhook, tuple(command))


def notify(settings: Settings, run: Run) -> str:
    """Tell that a run has ended; both ways are tried. Returns what failed in the end, as it is in the log."""
    message, problems = describe(run), []
    if settings.webhook:
        # The rest of the address may be a secret.
        where = urlsplit(settings.webhook).hostname
        for pause_s in (*PAUSES_S, None):
            try:
                post(settings.webhook, message)
                log.info("told %s that %s is %s", where, run.name, run.status)
                break
            except (OSError, ValueError) as error:
                log.warning("%s was not told that %s is %s: %s", where, run.name, run.status, error)
                if pause_s is not None:
                    time.sleep(pause_s)
                else:
                    problems.append(f"{where} was not told: {error}.")
    if settings.command:
        try:
            start(settings.command, message)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            log.warning("%s did not tell that %s is %s: %s", settings.command[0], run.name, run.status, error)
            problems.append(f"{settings.command[0]} did not tell: {error}.")
    return " ".join(problems)


def describe(run: Run) -> dict[str, Any]:
    """What is told of a run: one sentence, and the same as values."""
    error = run.metrics.get("val/error_top1")
    if run.status == "FINISHED":
        text = f"Run {run.name} has finished" + ("." if error is None else f": top-1 error {error:.2f} %.")
    else:
        text = f"Run {run.name} has failed: {run.error or 'see its log.'}"
    return {
        "text": text,
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status,
        "architecture": run.architecture,
        "source": run.source,
        "val/error_top1": error,
        "duration_s": run.duration_s,
        "error": run.error,
        "host": run.tags.get("job.host", ""),
    }


def post(address: str, message: Mapping[str, Any], timeout_s: float = WEBHOOK_TIMEOUT_S) -> None:
    """Send JSON to a webhook.

    Raises:
        OSError: Nobody is there, or the answer is not one of success; redirections are not followed.
        ValueError: It is no http or https address.
    """
    if not _is_address(address):
        raise ValueError("The webhook must be an address that begins with http:// or https://.")
    request = urllib.request.Request(
        address,
        data=json.dumps(message).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "convnet-arena"},
        method="POST",
    )
    # Of urllib's handlers those for the web alone: no files, no FTP.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    try:
        with opener.open(request, timeout=timeout_s):
            pass
    except HTTPException as error:  # its text may hold the address, and so a secret
        raise OSError(f"the address or the answer is none of HTTP ({type(error).__name__})") from error


def start(command: Sequence[str], message: Mapping[str, Any], timeout_s: float = COMMAND_TIMEOUT_S) -> None:
    """Run the user's command; the sentence is one more word of it, which no shell looks into.

    Raises:
        OSError: It cannot be started.
        subprocess.SubprocessError: It takes too long and was ended, or says that it failed.
        ValueError: A word cannot be one of a command.
    """
    child = subprocess.Popen(
        [*command, str(message["text"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        began = psutil.Process(child.pid).create_time()
    except psutil.Error:  # it is over already
        began = 0.0
    try:
        child.communicate(json.dumps(message), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        processes.kill_session(child.pid, began)
        child.wait()
        raise
    if child.returncode:
        raise subprocess.SubprocessError(f"it ended with exit code {child.returncode}")


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
