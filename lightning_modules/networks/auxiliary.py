"""Networks with auxiliary classifiers, which are used in training only."""

from torch import Tensor, nn


class AuxiliaryHead(nn.Sequential):
    """A classifier of an intermediate feature map, from N x C x H x W to N x classes."""


class HeadedNetwork(nn.Module):
    """A sequence of stages, some of which are auxiliary heads for the output of the stage before them."""

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Map N x 3 x S x S to N x classes, in training mode to a tuple with the logits of all heads."""
        x, auxiliary = images, []
        for stage in self.children():
            if not isinstance(stage, AuxiliaryHead):
                x = stage(x)
            elif self.training:
                auxiliary.append(stage(x))
        return (x, *auxiliary) if self.training else x
