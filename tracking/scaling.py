"""How well a run uses its devices, measured against one that trains the same on one of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracking.runs import Run, get_run, list_runs
from tracking.series import read_series
from tracking.store import Store

SPEED, EFFICIENCY = "train/images_per_s", "train/scaling_efficiency"
# The name of the run on one device that the efficiency is measured against.
COMPARED_WITH = "scaling.one_device_run"
# What has to be the same; the devices are told by the training process, `trainer.devices` may say "auto".
DECISIVE = ("model.", "data.", "precision", "device")
IRRELEVANT = ("model.learning_rate", "model.scale_learning_rate", "model.weights")


@dataclass(frozen=True)
class OneDevice:
    """A run on one device and the images it trains on in a second."""

    run: Run
    images_per_s: float

    def efficiency(self, images_per_s: float, devices: int) -> float:
        """Percent of what so many devices would do if none waited for another."""
        return 100 * images_per_s / (devices * self.images_per_s)


def find_one_device(store: Store, run_id: str, found: Mapping[str, str]) -> OneDevice | None:
    """Find the newest run that trains the same on one device of the same machine and kind, None if none does.

    Args:
        store: Where the runs are.
        run_id: The run on several devices.
        found: Its params that may not have arrived yet: `precision` and `device`.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    run = get_run(store, run_id)
    wanted = _decisive(run.params | dict(found))
    # Of thousands of runs, few need to be read.
    same = {name: wanted[name] for name in ("model.architecture", "device") if name in wanted}
    for other in list_runs(store, params={"world_size": "1"} | same):
        if other.tags.get("job.host") == run.tags.get("job.host") and _decisive(other.params) == wanted:
            speed = median_speed(store, other)
            if speed is not None:
                return OneDevice(other, speed)
    return None


def median_speed(store: Store, run: Run) -> float | None:
    """Images that a run trains on in a second, None if it has not said. Raises StoreUnavailable."""
    speeds = read_series(store, [run.run_id], [SPEED])[run.run_id, SPEED].values
    speeds = speeds[np.isfinite(speeds) & (speeds > 0)]
    return float(np.median(speeds)) if len(speeds) else None


def _decisive(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key.startswith(DECISIVE) and key not in IRRELEVANT}
