"""Submission: creating the run that the supervisor will start."""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from jobs.engines import ENGINE, SLURM
from jobs.engines.slurm_options import read_options
from jobs.preflight.allowed_paths import check_files
from jobs.problems import LaunchError
from jobs.scheduling.forecast import EXPECTED
from jobs.scheduling.queue import HELD
from tracking import records
from tracking.groups import GROUP
from tracking.store import Store


def submit(
    store: Store,
    config: Mapping[str, Any],
    *,
    name: str | None = None,
    check: bool = True,
    held: bool = False,
) -> str:
    """Create a SCHEDULED run with its complete configuration and return its id, without starting it.

    Args:
        store: The store, opened if necessary.
        config: The configuration of the run as nested mappings.
        name: The name of the run; made from architecture and data source by default.
        check: Whether to check the configuration; False if `check_config` has been called.
        held: Whether the run waits until it is released.

    Raises:
        LaunchError: The configuration cannot work.
        StoreUnavailable: The store cannot be written.
    """
    if check:
        check_config(config)
    tags = {HELD: "yes"} if held else {}
    if "slurm" in config:
        tags[ENGINE] = SLURM
    return records.create_run(store.open(), config, name=name, tags=tags)


def submit_group(
    store: Store,
    configs: Sequence[Mapping[str, Any]],
    *,
    held: bool = False,
    expected_s: Sequence[float | None] = (),
) -> list[str]:
    """Submit configurations that have been checked; several of them become a group.

    Args:
        store: The store, opened if necessary.
        configs: Complete configurations.
        held: Whether the runs wait until they are released.
        expected_s: The duration of each job as estimated by a trial; by default there are no trials.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    tags = {HELD: "yes"} if held else {}
    if len(configs) > 1:
        tags[GROUP] = f"{configs[0]['data']['source']}-{token_hex(3)}"
    store.open()
    return [
        records.create_run(store, config, tags=tags if takes_s is None else {**tags, EXPECTED: str(takes_s)})
        for config, takes_s in zip(configs, expected_s or [None] * len(configs), strict=True)
    ]


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check whether a configuration can work, and return it with all defaults.

    Raises:
        LaunchError: The first problem that was found.
    """
    from datamodules.problems import DataError
    from training.config_check import check_config as check_training
    from training.config_check import complete

    try:
        read_options(config)
        check_files(config)
        check_training(dict(config))
        return complete(config)
    except (ValueError, DataError) as error:
        raise LaunchError.of(error) from error
