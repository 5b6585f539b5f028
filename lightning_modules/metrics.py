"""Top-1 and top-5 error in percent, and the mean loss, over all images of all processes."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric

# The top-1 and the top-5 error.
TOPS = (1, 5)


class TopErrors(Metric):
    """The top-1 and top-5 error in percent; lower is better.

    Both are computed with one top-k operation. With fewer than 5 classes the top-5 error is 0. The label of a
    mixed image is the class with the largest share, as in torchvision's references. A network cannot rank
    both classes first, so the training error of mixed images is much higher than that of whole images.

    Args:
        num_classes: Number of classes.
    """

    higher_is_better = False
    ranks: Tensor
    images: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.depth = min(max(TOPS), num_classes)
        # How many labels had the highest score, the second highest, ...; and the number of images.
        self.add_state("ranks", torch.zeros(self.depth, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add a batch: scores (N x classes), and labels (N) or shares of the classes (N x classes)."""
        labels = labels.argmax(dim=1) if labels.ndim == 2 else labels
        found = scores.topk(self.depth, dim=1).indices == labels[:, None]
        self.ranks += found.sum(dim=0)
        self.images += len(labels)

    def compute(self) -> dict[str, Tensor]:
        """Return ``error_top1`` and ``error_top5``, 0 to 100, of all images since the last reset."""
        return {f"error_top{k}": 100 * (self.images - self.ranks[:k].sum()) / self.images for k in TOPS}

    def counts(self) -> dict[str, Tensor]:
        """Return the counts, for a checkpoint."""
        return {"ranks": self.ranks, "images": self.images}

    def take_up(self, counts: Mapping[str, Tensor | Mapping[str, Tensor]]) -> None:
        """Continue from earlier counts.

        Args:
            counts: The result of `counts`, or that of two `MulticlassAccuracy` of torchmetrics, which the
                first versions of this program saved.
        """
        self._update_count = 1  # otherwise torchmetrics warns that there was no update
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
    """The mean loss per image. `MeanMetric` of torchmetrics ignores its weights unless it checks for NaN."""

    higher_is_better = False
    total: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "images"):
            self.add_state(name, torch.zeros((), dtype=torch.get_default_dtype()), dist_reduce_fx="sum")

    def update(self, loss: Tensor, num_images: int) -> None:
        """Add the mean loss of a batch."""
        self.total += loss * num_images
        self.images += num_images

    def compute(self) -> Tensor:
        """Return the mean loss of all images since the last reset, a scalar."""
        return self.total / self.images
