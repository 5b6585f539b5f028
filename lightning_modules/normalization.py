"""Local response normalisation across channels, as AlexNet and GoogLeNet use it."""

import torch
from torch import Tensor, nn


class LocalResponseNorm(nn.Module):
    """Divides each value by a power of the mean square of its neighbours across channels.

    ``y = x / (k + alpha * mean of x^2 over size channels) ** beta``. Like the code of 2012, Caffe and
    ``torch.nn.LocalResponseNorm`` it averages, where AlexNet's formula adds up: alpha there is a fifth.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0, groups: int = 1
    ) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k, self.groups = size, alpha, beta, k, groups

    def forward(self, x: Tensor) -> Tensor:
        """Normalises N x C x H x W."""
        parts = [
            nn.functional.local_response_norm(part, self.size, self.alpha, self.beta, self.k)
            for part in x.chunk(self.groups, 1)
        ]
        return torch.cat(parts, 1)
