"""What training a network takes: memory, counted from its layers, and time, where it was measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.host.machine import Machine
from tracking.runs import Run
from tracking.scaling import SPEED, median_speed
from tracking.store import Store


@dataclass(frozen=True)
class Plan:
    """One network, and how it would be trained.

    Attributes:
        key: of the network.
        image_size: in pixels.
        batch_size: images a step on each device.
        precision: Lightning's name for it.
        recipe: its key.
        options: of the network.
        source: of the images, empty while that is open.
        root: their folder, empty where there is none.
    """

    key: str
    image_size: int
    batch_size: int
    precision: str
    recipe: str
    options: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    root: str = ""


PARTS: Mapping[str, str] = {
    "parameters": "weights",
    "gradients": "gradients",
    "optimizer_state": "optimiser state",
    "weight_copies": "16-bit copies of weights",
    "activations": "activations",
    "images": "the batch itself",
    "workspace": "gradients of activations (estimated)",
    "overhead": "fragmentation and code (estimated)",
}


@dataclass(frozen=True)
class Pace:
    """How fast a run like it was here.

    Attributes:
        images_per_s: the median over the run.
        train_images: in one epoch of that run.
        run: that measured it.
    """

    images_per_s: float
    train_images: int
    run: Run

    @property
    def epoch_s(self) -> float:
        """Seconds of training for one epoch, validation left out."""
        return self.train_images / self.images_per_s


def find_pace(store: Store, runs: Sequence[Run], plan: Plan, machine: Machine) -> Pace | None:
    """Find the newest run that trained the same network in the same way on a device of this machine.

    Args:
        store: to read the run's speed from.
        runs: newest first.
        plan: what should be trained; where its source is open, a run on any images will do.
        machine: where.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    alike = [run for run in runs if SPEED in run.metrics and is_alike(run, plan) and is_here(run, machine)]
    for run in alike:
        speed, images = median_speed(store, run), run.number("train_images")
        if speed and images:
            return Pace(speed, int(images), run)
    return None


def is_alike(run: Run, plan: Plan) -> bool:
    """Whether a run trained the same network at the same size, batch and precision on one device."""
    options = {
        name.removeprefix("model.options."): value
        for name, value in run.params.items()
        if name.startswith("model.options.")
    }
    return (
        run.architecture == plan.key
        and run.image_size == plan.image_size
        and run.number("data.batch_size") == plan.batch_size
        and run.params.get("precision") == plan.precision
        and run.params.get("world_size", "1") == "1"
        and options == dict(plan.options)
        and (not plan.source or (run.source, run.params.get("data.root", "")) == (plan.source, plan.root))
    )


def is_here(run: Run, machine: Machine) -> bool:
    """Whether this machine trained the run, and on the kind of device it would train on now."""
    on_cpu = run.params.get("device", "").startswith("cpu")
    return run.tags.get("job.host") == machine.name and on_cpu == (machine.accelerator == "cpu")
