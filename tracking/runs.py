"""What is known about runs, read straight from the database or, where its layout is new, through MLflow."""

import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from problems import InvalidValue
from tracking import client, database
from tracking.entities import HOME, TERMINAL_STATUSES, Record
from tracking.problems import Wrong
from tracking.schema import is_known
from tracking.store import Store
from tracking.unavailable import reported

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        status: SCHEDULED, RUNNING, FINISHED, FAILED or KILLED.
        created_at: When it was submitted, in unix seconds, as all times here.
        started_at: When its training process began, None before.
        ended_at: None while it is active.
        params: The flattened configuration and what the training process found out, as text.
        metrics: The latest value of every metric.
        step: The optimiser step of the latest metric.
    """

    run_id: str
    experiment_id: str
    name: str
    status: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    step: int

    @property
    def architecture(self) -> str:
        """The key of the network."""
        return self.params.get("model.architecture", "")

    @property
    def source(self) -> str:
        """The key of the data source."""
        return self.params.get("data.source", "")

    @property
    def recipe(self) -> str:
        """The key of the training recipe."""
        return self.params.get("model.recipe", "")

    @property
    def image_size(self) -> int | None:
        """Side of the images in pixels."""
        return _whole(self.number("data.image_size"))

    @property
    def max_epochs(self) -> int | None:
        """How many epochs were asked for."""
        return _whole(self.number("trainer.max_epochs"))

    @property
    def parameters(self) -> int | None:
        """Trainable weights without auxiliary heads, None until the training process has counted them."""
        return _whole(self.number("network.parameters"))

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates for one image of this run's size."""
        return _whole(self.number("network.macs"))

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.status in TERMINAL_STATUSES

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return not self.is_terminal

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked it to stop and it has not ended yet."""
        return self.is_active and self.tags.get("job.request") == "stop"

    @property
    def error(self) -> str:
        """One sentence why it failed, empty otherwise."""
        return self.tags.get("job.error", "")

    @property
    def duration_s(self) -> float | None:
        """Seconds from the start of training to its end or, while active, to now; None before it began."""
        if self.started_at is None:
            return None
        return max(0.0, (self.ended_at or time.time()) - self.started_at)

    @property
    def progress(self) -> float:
        """From 0 to 1, in optimiser steps."""
        if self.status == "FINISHED":
            return 1.0
        total = self.number("steps_total")
        return min(1.0, self.step / total) if total else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until it will have finished by what its process says, None where it has not said so yet."""
        ends_at = _seconds(self.tags.get(ENDS_AT))
        return max(0.0, ends_at - time.time()) if self.status == "RUNNING" and ends_at is not None else None

    @property
    def epoch(self) -> float | None:
        """Epochs done, with fraction."""
        per_epoch = self.number("steps_per_epoch")
        return self.step / per_epoch if per_epoch else self.metrics.get("epoch")

    @property
    def images_per_s(self) -> float | None:
        """Images trained per second, lately."""
        return self.metrics.get("train/images_per_s")

    @property
    def data_wait(self) -> float | None:
        """Percent of the time of training for which it has waited for images, lately."""
        return self.metrics.get(DATA_WAIT)

    @property
    def settings(self) -> dict[str, str]:
        """The params that were chosen, without those that the training process found out."""
        return {key: value for key, value in self.params.items() if key.startswith(CHOSEN)}

    def number(self, param: str) -> float | None:
        """Return a param as a number, None when it is missing or not one."""
        try:
            return float(self.params[param])
        except (KeyError, ValueError):
            return None


# When it will have ended, in milliseconds, and how many seconds it pauses for a validation.
ENDS_AT, PAUSE = "job.ends_at", "job.pause_s"
DATA_WAIT = "train/data_wait"
# Why a process of it other than the first has failed.
RANK_ERROR = "job.rank_error"
CHOSEN = ("model.", "data.", "trainer.", "seed_everything")


def list_runs(
    store: Store, statuses: Sequence[str] | None = None, params: Mapping[str, str] | None = None
) -> list[Run]:
    """Every run that was not deleted, newest first.

    Args:
        store: Where to look.
        statuses: Only runs in one of these statuses.
        params: Only runs of which these params, without quotes in them, have these values.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    runs = [_run(record) for record in reader(store).read_runs(store, statuses, params=params)]
    return sorted(runs, key=lambda run: (run.created_at, run.run_id), reverse=True)


def get_run(store: Store, run_id: str) -> Run:
    """Return the run of that id.

    Raises:
        ValueError: There is none, or it was deleted.
        StoreUnavailable: The store cannot be read.
    """
    if run_id.isalnum():
        for record in reader(store).read_runs(store, run_id=run_id):
            return _run(record)
    raise InvalidValue(Wrong.NO_RUN, run_id=run_id)


def find_run(store: Store, name: str) -> Run:
    """Return the run whose id begins with `name`, or whose name is `name`.

    Raises:
        ValueError: None or several match.
        StoreUnavailable: The store cannot be read.
    """
    runs = list_runs(store)
    found = [run for run in runs if run.name == name]
    found = found or [run for run in runs if name and run.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidValue(Wrong.NO_SUCH_NAME, name=name)
    some = ", ".join(run.run_id for run in found[:5])
    raise InvalidValue(Wrong.AMBIGUOUS_NAME, name=name, number=len(found), run_ids=some)


def read_config(store: Store, run_id: str) -> str:
    """Return the YAML that the run was submitted with.

    Raises:
        ValueError: There is no such run, or it has no configuration.
        StoreUnavailable: The store cannot be read.
    """
    get_run(store, run_id)
    with reported(store):
        file = store.config_file(run_id)
        if store.server and not file.is_file():
            client.fetch_config(store, run_id)  # submitted on another machine
        if not file.is_file():
            raise InvalidValue(Wrong.NO_CONFIG, run_id=run_id)
        return file.read_text(encoding="utf-8")


def is_ours(store: Store, run: Run) -> bool:
    """Whether this machine looks after the run: with a server, the one that it was submitted on."""
    return not store.server or run.tags.get(HOME) == store.home


def list_ours(store: Store, statuses: Sequence[str] | None = None) -> list[Run]:
    """Those of `list_runs` that this machine looks after. Raises StoreUnavailable."""
    return [run for run in list_runs(store, statuses) if is_ours(store, run)]


def infinite(value: float) -> float:
    """MLflow stores infinity as the largest float; this undoes it."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


def reader(store: Store) -> ModuleType:
    """Return the module to read with: both offer the same functions and return the same."""
    if store.server:
        return client
    with reported(store):
        if is_known(store):
            return database
    _warn(store.database)
    return client


@lru_cache
def _warn(file: Path) -> None:
    """Say it once."""
    log.warning("%s has tables of another MLflow: runs are read through its client, which is slower.", file)


def _run(record: Record) -> Run:
    return Run(
        run_id=record.run_id,
        experiment_id=record.experiment_id,
        name=record.name,
        status=record.status,
        created_at=record.start_time / 1000,
        started_at=_seconds(record.tags.get("job.started_at")),
        # MLflow keeps the time of an earlier end when a run continues.
        ended_at=_seconds(record.end_time) if record.status in TERMINAL_STATUSES else None,
        params=record.params,
        tags=record.tags,
        metrics={key: infinite(value) for key, (_, value, _) in record.metrics.items()},
        step=max((step for step, _, _ in record.metrics.values()), default=0),
    )


def _seconds(milliseconds: str | int | None) -> float | None:
    try:
        return None if milliseconds is None else float(milliseconds) / 1000
    except ValueError:
        return None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
