"""What a training process records, also while the store is away: it waits in a file and arrives later."""

import logging
import threading
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tracking import records
from tracking.layout import checked
from tracking.problems import StoreUnavailable
from tracking.spool_file import Entry, SpoolFile
from tracking.store import Store
from tracking.unavailable import reported

# Between two attempts; doubled up to the longer one while the store stays away.
RETRY_S, MAX_RETRY_S = 1.0, 10.0
# How long the end of a process may wait for its last words to arrive; whoever comes later delivers the rest.
FAREWELL_S = 5.0
ENDING, REFUSED = ".jsonl", ".refused"

log = logging.getLogger("tracking.spool")


class Spool:
    """Writes the record of one run, in order, never waiting for a store that is away.

    Into a database of this machine it writes at once, and keeps only what could not be written. To a server
    a thread delivers, so that no training step waits for the network. MLflow leaves out a point it has, with
    the same time and step, so that what is delivered twice after a crash is there once.

    Args:
        store: Where the run is.
        run_id: The run. What an earlier process of it has left comes first.

    Raises:
        StoreUnavailable: The file beside the run cannot be written.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._file: SpoolFile | None = None
        if store.server or self._path.exists():
            with self._changed:
                self._open()

    @property
    def _path(self) -> Path:
        return self._store.spool / f"{checked(self._run_id)}{ENDING}"

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Add one point to each metric. Raises StoreUnavailable, as all of these, if it cannot even wait."""
        self._write({"metrics": {key: float(value) for key, value in metrics.items()}, "step": step})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Add params."""
        self._write({"params": {key: str(value) for key, value in params.items()}})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags."""
        self._write({"tags": {key: str(value) for key, value in tags.items()}})

    def set_status(self, status: str) -> None:
        """Set the status."""
        self._write({"status": status})

    def flush(self, timeout_s: float = FAREWELL_S) -> bool:
        """Wait until everything has arrived; whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_empty, timeout_s)

    def close(self) -> None:
        """Wait a moment for the rest to arrive and give the file free, for others to deliver what is left."""
        self.flush()
        with self._changed:
            if self._file is not None:
                self._file.close()
                self._file = None

    @property
    def _is_empty(self) -> bool:
        return self._file is None or self._file.is_empty

    def _write(self, entry: dict[str, Any]) -> None:
        entry["time"] = records.now_ms()
        with self._changed:
            if not self._store.server and self._is_empty:
                try:
                    return send(self._store, self._run_id, [entry])
                except StoreUnavailable as problem:
                    log.warning("%s What this run records waits in %s.", problem, self._path)
            with reported(self._store):
                self._open().append(entry)
            self._changed.notify_all()

    def _open(self) -> SpoolFile:
        if self._file is None:
            with reported(self._store):
                self._file = SpoolFile.open(self._path, wait=True)
        assert self._file is not None
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="spool", daemon=True)
            self._thread.start()
        return self._file

    def _deliver(self) -> None:
        pause_s = RETRY_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_empty)
                assert self._file is not None
                entries, end = self._file.read()
            try:
                deliver_entries(self._store, self._run_id, entries)
            except StoreUnavailable:
                threading.Event().wait(pause_s)
                pause_s = min(2 * pause_s, MAX_RETRY_S)
                continue
            pause_s = RETRY_S
            with self._changed:
                if self._file is None:
                    return
                self._file.take(end)
                self._changed.notify_all()


def deliver_left(store: Store, run_id: str | None = None) -> None:
    """Deliver what processes that are gone have left, of one run or of all; what a living one has is its own.

    Raises:
        StoreUnavailable: The store is still away.
    """
    pattern = f"{checked(run_id)}{ENDING}" if run_id else f"*{ENDING}"
    for path in sorted(store.spool.glob(pattern)):
        with reported(store):
            file = SpoolFile.open(path, wait=False)
        if file is None:
            continue
        try:
            while not file.is_empty:
                entries, end = file.read()
                deliver_entries(store, path.stem, entries)
                file.take(end)
        finally:
            file.close()


def deliver_entries(store: Store, run_id: str, entries: Sequence[Entry]) -> None:
    """Send entries; what the store refuses for good is put aside, so that it does not stop what follows.

    Raises:
        StoreUnavailable: Not all have arrived; sending them again is safe.
    """
    try:
        send(store, run_id, entries)
    except StoreUnavailable:
        raise
    except Exception as error:
        if len(entries) > 1:
            for entry in entries:
                deliver_entries(store, run_id, [entry])
            return
        put_aside(store, run_id, entries[0], error)


def put_aside(store: Store, run_id: str, entry: Entry, error: BaseException) -> None:
    """Keep what the store refuses for good, and why. Raises StoreUnavailable."""
    aside = store.spool / f"{run_id}{REFUSED}"
    log.warning("MLflow refuses what %s has recorded; see %s: %s", run_id, aside, error)
    with reported(store), aside.open("a", encoding="utf-8") as lines:
        lines.write(f"{dict(entry)!r} {str(error).splitlines()[0]}\n")


def send(store: Store, run_id: str, entries: Sequence[Entry]) -> None:
    """Write entries in their order, metrics that follow each other in one go. Raises StoreUnavailable."""
    for is_metrics, group in groupby(entries, key=lambda entry: "metrics" in entry):
        if is_metrics:
            points = [
                (key, value, entry["time"], entry["step"])
                for entry in group
                for key, value in entry["metrics"].items()
            ]
            records.log_points(store, run_id, points)
            continue
        for entry in group:
            if "params" in entry:
                records.log_params(store, run_id, entry["params"])
            elif "tags" in entry:
                records.set_tags(store, run_id, entry["tags"])
            else:
                records.set_status(store, run_id, entry["status"], entry["time"])
