"""The initialisation of our own recipes, and none at all; those of the papers stand with their networks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

DRAWS = frozenset({Tensor.normal_, Tensor.uniform_})


@torch.no_grad()
def draw_he(network: nn.Module) -> None:
    """Draws all weights from N(0, 2 / fan_in) and sets biases to 0, as He et al. (ICCV 2015, section 2.2).

    Signals keep their size through any depth of ReLUs, so that nothing has to be waited for: AlexNet's own
    N(0, 0.01) keeps the loss flat for hundreds of steps.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@contextmanager
def without_numbers() -> Iterator[None]:
    """Builds networks on the meta device, which knows shapes and no numbers.

    Drawing weights that are not there is half the time of building a deep network, so nothing is drawn.
    """
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAWS or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
