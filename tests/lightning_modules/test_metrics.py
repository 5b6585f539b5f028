import pytest
import torch

from lightning_modules.metrics import TopKError

SCORES = torch.tensor(
    [
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],  # ranks of the classes: 0 1 2 3 4 5 6
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],  # 6 5 4 3 2 1 0
        [-9.0, 5.0, -1.0, 0.0, 1.0, 2.0, 3.0],  # 6 0 5 4 3 2 1
        [10.0, 20.0, -30.0, 15.0, 0.0, -1.0, 1.0],  # 2 0 6 1 4 5 3
    ]
)


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
    for k, expected in ((1, top1), (5, top5)):
        error = TopKError(7, k)
        error.update(SCORES, torch.tensor(labels))
        assert float(error.compute()) == pytest.approx(expected)


def test_mixed_images_count_for_what_they_show_most_of():
    shares = torch.tensor([[0.6, 0.4, 0, 0, 0, 0, 0], [0.3, 0, 0, 0, 0, 0.7, 0]])
    error = TopKError(7, 1)
    error.update(SCORES[:2], shares)  # the first class comes first, the sixth second
    assert float(error.compute()) == 50.0


def test_against_counting():
    scores, labels = torch.randn(500, 20), torch.randint(20, (500,))
    ranks = (scores > scores.gather(1, labels[:, None])).sum(1)
    for k in (1, 5):
        error = TopKError(20, k)
        for part, wanted in zip(scores.split(64), labels.split(64), strict=True):  # the last part is smaller
            error.update(part, wanted)
        assert float(error.compute()) == pytest.approx(100 * int((ranks >= k).sum()) / 500, abs=1e-4)


@pytest.mark.parametrize("num_classes", [2, 3, 4, 5])
def test_fewer_classes_than_k(num_classes):
    scores, labels = torch.randn(40, num_classes), torch.arange(40) % num_classes
    top1, top5 = TopKError(num_classes, 1), TopKError(num_classes, 5)
    top1.update(scores, labels)
    top5.update(scores, labels)
    assert float(top5.compute()) == 0.0
    wrong = int((scores.argmax(1) != labels).sum())
    assert float(top1.compute()) == pytest.approx(100 * wrong / 40) and wrong > 0


def test_reset_forgets():
    error = TopKError(7, 1)
    error.update(SCORES, torch.tensor([1, 1, 0, 0]))
    assert float(error.compute()) == 100.0
    error.reset()
    error.update(SCORES, torch.tensor([0, 6, 1, 1]))
    assert float(error.compute()) == 0.0


def test_lower_is_better():
    assert TopKError(10, 1).higher_is_better is False


def test_low_precision_scores():
    for dtype in (torch.bfloat16, torch.float16):
        error = TopKError(7, 5)
        error.update(SCORES.to(dtype), torch.tensor([5, 1, 3, 5]))
        assert float(error.compute()) == pytest.approx(75.0)
