"""Networks with auxiliary classifiers, which train with them and are dropped afterwards."""

from torch import Tensor, nn


class AuxiliaryHead(nn.Sequential):
    """A classifier on an inner map; maps N x C x H x W to N x classes."""


class HeadedNetwork(nn.Module):
    """Stages one after the other; a head among them looks at what the stage before it puts out."""

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Maps N x 3 x S x S to N x classes; in training to that and the logits of every head."""
        x, auxiliary = images, []
        for stage in self.children():
            if not isinstance(stage, AuxiliaryHead):
                x = stage(x)
            elif self.training:
                auxiliary.append(stage(x))
        return (x, *auxiliary) if self.training else x
