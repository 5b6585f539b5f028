"""Errors in percent, as ImageNet reports them, and the loss, over all images of all processes."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy


class TopKError(MulticlassAccuracy):
    """Share of images whose label is not among the ``top_k`` highest scores, in percent; lower is better.

    With fewer than ``top_k`` classes every label is among them, so that the error is 0. Of an image mixed
    from two, the label is the class that has most of it, as in torchvision's references: no network can name
    both first, so such a training error stays far above that of whole images.
    """

    higher_is_better = False

    def __init__(self, num_classes: int, top_k: int) -> None:
        super().__init__(num_classes, top_k=min(top_k, num_classes), average="micro", validate_args=False)

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Adds a batch: N x classes, and N labels or the shares of the classes, N x classes."""
        super().update(scores, labels.argmax(dim=1) if labels.ndim == 2 else labels)

    def compute(self) -> Tensor:
        """Returns the error over everything seen since the last reset, a scalar in 0..100."""
        return 100 * (1 - super().compute())


class MeanLoss(Metric):
    """The mean loss of an image. torchmetrics' `MeanMetric` forgets its weights unless it checks for NaN."""

    higher_is_better = False
    total: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "images"):
            self.add_state(name, torch.zeros((), dtype=torch.get_default_dtype()), dist_reduce_fx="sum")

    def update(self, loss: Tensor, num_images: int) -> None:
        """Adds the mean loss of a batch."""
        self.total += loss * num_images
        self.images += num_images

    def compute(self) -> Tensor:
        """Returns the mean over everything seen since the last reset, a scalar."""
        return self.total / self.images
