"""He's initialisation, and building networks without any; those of the papers are with the networks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

DRAWS = frozenset({Tensor.normal_, Tensor.uniform_})


@torch.no_grad()
def draw_he(network: nn.Module) -> None:
    """Draw all weights from N(0, 2 / fan_in) and set biases to 0, as He et al. (ICCV 2015, section 2.2).

    Activations keep their scale through any number of ReLUs, so the loss falls from the first steps on. With
    AlexNet's own N(0, 0.01) it stays flat for hundreds of steps.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@contextmanager
def without_numbers() -> Iterator[None]:
    """Build networks on the meta device, whose tensors have shapes but no numbers.

    Initialisation is skipped; it would be half of the time that a deep network takes to build.
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
