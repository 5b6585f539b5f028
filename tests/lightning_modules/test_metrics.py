import pytest
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from lightning_modules.metrics import TopErrors

SCORES = torch.tensor(
    [
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],  # ranks of the classes: 0 1 2 3 4 5 6
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],  # 6 5 4 3 2 1 0
        [-9.0, 5.0, -1.0, 0.0, 1.0, 2.0, 3.0],  # 6 0 5 4 3 2 1
        [10.0, 20.0, -30.0, 15.0, 0.0, -1.0, 1.0],  # 2 0 6 1 4 5 3
    ]
)


def measure(errors: TopErrors, labels: Tensor, scores: Tensor = SCORES) -> tuple[float, float]:
    """Adds a batch and gives both errors."""
    errors.update(scores, labels)
    found = errors.compute()
    return float(found["error_top1"]), float(found["error_top5"])


@pytest.mark.parametrize(
    ("labels", "top1", "top5"),
    [
        ([0, 6, 1, 1], 0.0, 0.0),
        ([1, 6, 1, 1], 25.0, 0.0),
        ([4, 2, 3, 4], 100.0, 0.0),
        ([5, 1, 3, 5], 100.0, 75.0),  # ranks 5, 5, 4, 5: one among the first five
        ([6, 0, 0, 2], 100.0, 100.0),
        ([0, 0, 1, 2], 50.0, 50.0),
    ],
)
def test_by_hand(labels, top1, top5):
    assert measure(TopErrors(7), torch.tensor(labels)) == pytest.approx((top1, top5))


def test_mixed_images_count_for_what_they_show_most_of():
    shares = torch.tensor([[0.6, 0.4, 0, 0, 0, 0, 0], [0.3, 0, 0, 0, 0, 0.7, 0]])
    # The first class comes first, the sixth second.
    assert measure(TopErrors(7), shares, SCORES[:2])[0] == 50.0


def test_against_counting():
    scores, labels = torch.randn(500, 20), torch.randint(20, (500,))
    ranks = (scores > scores.gather(1, labels[:, None])).sum(1)
    errors = TopErrors(20)
    for part, wanted in zip(scores.split(64), labels.split(64), strict=True):  # the last part is smaller
        errors.update(part, wanted)
    for k in (1, 5):
        found = float(errors.compute()[f"error_top{k}"])
        assert found == pytest.approx(100 * int((ranks >= k).sum()) / 500, abs=1e-4)


@pytest.mark.parametrize("num_classes", [2, 3, 4, 5])
def test_fewer_classes_than_k(num_classes):
    scores, labels = torch.randn(40, num_classes), torch.arange(40) % num_classes
    top1, top5 = measure(TopErrors(num_classes), labels, scores)
    assert top5 == 0.0
    wrong = int((scores.argmax(1) != labels).sum())
    assert top1 == pytest.approx(100 * wrong / 40) and wrong > 0


def test_reset_forgets():
    errors = TopErrors(7)
    assert measure(errors, torch.tensor([1, 1, 0, 0]))[0] == 100.0
    errors.reset()
    assert measure(errors, torch.tensor([0, 6, 1, 1]))[0] == 0.0


def test_lower_is_better():
    assert TopErrors(10).higher_is_better is False


def test_low_precision_scores():
    for dtype in (torch.bfloat16, torch.float16):
        assert measure(TopErrors(7), torch.tensor([5, 1, 3, 5]), SCORES.to(dtype))[1] == pytest.approx(75.0)


@pytest.mark.parametrize("num_classes", [3, 7])
def test_a_checkpoint_of_the_first_versions_goes_on(num_classes):
    """It has the counts of torchmetrics, one metric for each k."""
    scores, labels = torch.randn(2, 30, num_classes), torch.randint(num_classes, (2, 30))
    errors, old = TopErrors(num_classes), {}
    for k in (1, 5):
        metric = MulticlassAccuracy(num_classes, min(k, num_classes), "micro", validate_args=False)
        metric.update(scores[0], labels[0])
        old[f"error_top{k}"] = dict(metric.metric_state)
    errors.take_up(old)
    both = TopErrors(num_classes)
    measure(both, labels[0], scores[0])
    assert errors.compute() == both.compute()
    assert measure(errors, labels[1], scores[1]) == measure(both, labels[1], scores[1])
    again = TopErrors(num_classes)
    again.take_up(both.counts())
    assert again.compute() == both.compute()
