"""Errors in percent, as ImageNet reports them, and the loss, over all images of all processes."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric

# The ranks that count as found: the error of 1 and that of 5.
TOPS = (1, 5)


class TopErrors(Metric):
    """Shares of images whose label is not among the 1 and the 5 highest scores, in percent; lower is better.

    Both come from one search for the highest scores. With fewer than 5 classes every label is among them, so
    that the top-5 error is 0. Of an image mixed from two, the label is the class that has most of it, as in
    torchvision's references: no network can name both first, so such a training error stays far above that of
    whole images.

    Args:
        num_classes: Width of the scores.
    """

    higher_is_better = False
    ranks: Tensor
    images: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.depth = min(max(TOPS), num_classes)
        # How many labels came first, second, ...; and how many images there were.
        self.add_state("ranks", torch.zeros(self.depth, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Adds a batch: N x classes, and N labels or the shares of the classes, N x classes."""
        labels = labels.argmax(dim=1) if labels.ndim == 2 else labels
        found = scores.topk(self.depth, dim=1).indices == labels[:, None]
        self.ranks += found.sum(dim=0)
        self.images += len(labels)

    def compute(self) -> dict[str, Tensor]:
        """Returns ``error_top1`` and ``error_top5`` over everything seen since the last reset, 0 to 100."""
        return {f"error_top{k}": 100 * (self.images - self.ranks[:k].sum()) / self.images for k in TOPS}

    def counts(self) -> dict[str, Tensor]:
        """Returns what was counted, for a checkpoint."""
        return {"ranks": self.ranks, "images": self.images}

    def take_up(self, counts: Mapping[str, Tensor | Mapping[str, Tensor]]) -> None:
        """Goes on from what was counted earlier.

        Args:
            counts: As `counts` gives them, or as two of torchmetrics' `MulticlassAccuracy` have counted in
                checkpoints of the first versions.
        """
        self._update_count = 1  # or it would warn that it has seen nothing
        if "ranks" in counts:
            ranks, images = counts["ranks"], counts["images"]
        else:
            first, five = counts["error_top1"], counts["error_top5"]
            assert isinstance(first, Mapping) and isinstance(five, Mapping)
            ranks = torch.zeros_like(self.ranks)
            ranks[0], ranks[-1] = first["tp"].sum(), five["tp"].sum() - first["tp"].sum()
            images = first["tp"].sum() + first["fn"].sum()
        assert isinstance(ranks, Tensor) and isinstance(images, Tensor)
        self.ranks, self.images = ranks.to(self.ranks), images.to(self.images)


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
