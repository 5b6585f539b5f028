"""What few trainings ask for: each is off unless asked for."""

from dataclasses import dataclass
from typing import Any

# Where each stands in a run's configuration.
PLACES = {
    "scale_learning_rate": "model",
    "ema_decay": "model",
    "compile": "model",
    "sync_batchnorm": "trainer",
}


@dataclass(frozen=True)
class Extras:
    """Options of the training beside its recipe.

    Attributes:
        scale_learning_rate: Whether the learning rate grows with the images of a step, linearly.
        ema_decay: Of a moving average of the weights, which is then what is validated and kept.
        compile: Whether `torch.compile` makes kernels for the network.
        sync_batchnorm: Whether batch normalisation takes its statistics over all devices.
    """

    scale_learning_rate: bool = False
    ema_decay: float | None = None
    compile: bool = False
    sync_batchnorm: bool = False

    def add_to(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration with what is asked for."""
        for name, place in PLACES.items():
            if value := getattr(self, name):
                config[place] = config[place] | {name: value}
        return config

    def words(self) -> list[str]:
        """The same for the command line."""
        switches = [name for name in PLACES if getattr(self, name) is True]
        decay = [] if self.ema_decay is None else ["--ema_decay", repr(self.ema_decay)]
        return [*decay, *(f"--{name}" for name in switches)]
