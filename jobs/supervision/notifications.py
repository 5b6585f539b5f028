"""Notifications that a run has finished or failed, by a webhook or a command of the user.

The settings are in `notify.yaml` in the store's folder, or in the environment of the supervisor, which takes
precedence::

    webhook: https://example.org/hook      # ARENA_WEBHOOK
    command: [notify-send, convnet-arena]  # ARENA_NOTIFY_COMMAND, split like a shell command, without a shell

The webhook receives a POST request with JSON. The command receives one sentence as its last argument and the
JSON on its standard input.
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
from jobs.problems import BadValue, NotNotified
from problems import InvalidValue, Problem
from tracking import records, runs
from tracking.runs import Run
from tracking.store import Store

FILE = "notify.yaml"
WEBHOOK, COMMAND = "ARENA_WEBHOOK", "ARENA_NOTIFY_COMMAND"
NOTIFIED = ("FINISHED", "FAILED")
# The tag of a run whose end is to be notified, even if a later supervisor finds that it has ended.
NOTIFY, DUE, SENT = "job.notify", "due", "sent"
# The tag with the reason why a notification failed, empty if none did.
PROBLEM = "job.notify_problem"
WEBHOOK_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
# The pauses before the second and the third attempt to reach a webhook.
PAUSES_S = (1.0, 5.0)

log = logging.getLogger("jobs.supervision.notifications")


@dataclass(frozen=True)
class Settings:
    """Where notifications are sent; nowhere by default.

    Attributes:
        webhook: An http or https address.
        command: A program and its arguments.
    """

    webhook: str = ""
    command: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.webhook or self.command)


class Notifications:
    """Sends notifications one after the other in a thread.

    Errors are logged and do not affect the supervisor, nor do slow webhooks and commands.

    Args:
        store: The store with the runs and the settings.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def expect(self, run: Run) -> None:
        """Record that notifications are due when a started run ends. Raises StoreUnavailable."""
        if self._settings():
            records.set_tags(self.store, run.run_id, {NOTIFY: DUE})

    def send(self, run_id: str) -> None:
        """Send notifications of a run that has ended, if any are configured; return immediately."""
        try:
            if not read_settings(self.store):
                return
        except ValueError:
            pass  # the thread records the problem in the run
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
            self._thread.start()
        self._ended.put(run_id)

    def catch_up(self) -> None:
        """Notify of runs that ended while no supervisor was running. Raises StoreUnavailable."""
        if self._settings():
            for run in runs.list_runs(self.store, NOTIFIED):
                if run.tags.get(NOTIFY) == DUE and runs.is_ours(self.store, run):
                    self.send(run.run_id)

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait a limited time for pending notifications."""
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
                if run.status in NOTIFIED:
                    records.set_tags(self.store, run_id, {NOTIFY: SENT, PROBLEM: self._notify(run)})
            except Exception as error:  # the thread has to survive for later notifications
                log.warning("%s: %s", run_id, error)

    def _notify(self, run: Run) -> str:
        """Send the notifications of a run and return what failed."""
        try:
            return notify(read_settings(self.store), run)
        except ValueError as error:
            log.warning("%s", error)
            return str(error)


def read_settings(store: Store, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the file and the environment.

    Raises:
        InvalidValue: The file or a value is invalid.
    """
    file = store.root / FILE
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidValue(BadValue.NOT_YAML, file=file, reason=str(error).splitlines()[0]) from error
    given = {} if given is None else given
    if not isinstance(given, dict) or not set(given) <= {"webhook", "command"}:
        raise InvalidValue(BadValue.NOTIFY_KEYS, file=file)
    webhook = environment.get(WEBHOOK) or given.get("webhook") or ""
    try:
        command = shlex.split(environment.get(COMMAND, "")) or given.get("command") or []
    except ValueError as error:
        raise InvalidValue(BadValue.NOTIFY_WORDS, name=COMMAND, reason=error) from None
    if not isinstance(webhook, str) or (webhook and not _is_address(webhook)):
        raise InvalidValue(BadValue.WEBHOOK)
    if not isinstance(command, list) or not all(isinstance(word, str) and word for word in command):
        raise InvalidValue(BadValue.NOTIFY_COMMAND)
    return Settings(webhook, tuple(command))


def notify(settings: Settings, run: Run) -> str:
    """Notify the webhook and run the command; return one sentence for each that failed, also logged."""
    message = describe(run)
    problems: list[Problem] = []
    if settings.webhook:
        # The rest of the address may contain a secret.
        where = urlsplit(settings.webhook).hostname
        for pause_s in (*PAUSES_S, None):
            try:
                post(settings.webhook, message)
                log.info("Notified %s that %s is %s", where, run.name, run.status)
                break
            except (OSError, ValueError) as error:
                log.warning("Could not notify %s that %s is %s: %s", where, run.name, run.status, error)
                if pause_s is not None:
                    time.sleep(pause_s)
                else:
                    problems.append(Problem(NotNotified.WEBHOOK, host=where, reason=error))
    if settings.command:
        try:
            start(settings.command, message)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            program = settings.command[0]
            log.warning("%s could not notify that %s is %s: %s", program, run.name, run.status, error)
            problems.append(Problem(NotNotified.COMMAND, program=program, reason=error))
    return " ".join(map(str, problems))


def describe(run: Run) -> dict[str, Any]:
    """Return the message about a run: a sentence, and the values that it is made of."""
    error = run.metrics.get("val/error_top1")
    if run.status == "FINISHED":
        text = f"Run {run.name} has finished" + ("." if error is None else f": top-1 error {error:.2f} %.")
    else:
        text = f"Run {run.name} has failed: {run.error or 'See its log.'}"
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
    """Send JSON to a webhook; redirections are not followed.

    Raises:
        OSError: The server does not answer, or not with success.
        InvalidValue: The address is not an http or https address.
    """
    if not _is_address(address):
        raise InvalidValue(BadValue.WEBHOOK)
    request = urllib.request.Request(
        address,
        data=json.dumps(message).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "convnet-arena"},
        method="POST",
    )
    # Only urllib's handlers for HTTP: no files, no FTP.
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
    except HTTPException as error:  # its text may contain the address, and so a secret
        raise OSError(f"invalid HTTP address or response ({type(error).__name__})") from error


def start(command: Sequence[str], message: Mapping[str, Any], timeout_s: float = COMMAND_TIMEOUT_S) -> None:
    """Run the user's command with the sentence as an additional argument, without a shell.

    Raises:
        OSError: The command cannot be started.
        subprocess.SubprocessError: It took too long and was killed, or failed.
        ValueError: An argument contains a null character.
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
    except psutil.Error:  # it has ended already
        began = 0.0
    try:
        child.communicate(json.dumps(message), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        processes.kill_session(child.pid, began)
        child.wait()
        raise
    if child.returncode:
        raise subprocess.SubprocessError(f"exit code {child.returncode}")


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
