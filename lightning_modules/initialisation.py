"""The initialisation that our own recipes start from; the papers' own stand with their networks."""

import torch
from torch import nn


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
