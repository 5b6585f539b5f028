"""Training for real: the loss, the schedule Lightning follows, and what is logged."""

import ast
import inspect
import math
from dataclasses import replace

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules import classifier, registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.problems import InvalidChoice
from lightning_modules.schedules import Plateau
from tests.refusals import refused

LOGGED = {"train/error_top1", "train/error_top5", "val/error_top1", "val/error_top5", "val/loss"}


# The step is the same for all: the first of each family tells as much as the family, in a tenth of the time.
FIRST = {one.family: one for one in reversed(registry.architectures().values())}


over_families = pytest.mark.parametrize(
    "architecture", list(FIRST.values()), indirect=True, ids=lambda one: one.key
)


class Record(Callback):
    """Keeps what every step and every epoch showed."""

    def __init__(self):
        self.rates, self.losses, self.epochs = [], [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch:
            self.keep_figures(trainer)

    def on_fit_end(self, trainer, pl_module):
        self.keep_figures(trainer)

    def keep_figures(self, trainer):
        self.epochs.append({key: float(value) for key, value in trainer.callback_metrics.items()})


def batches(num_images, size, num_classes=10, batch_size=2):
    images = torch.randn(num_images, 3, size, size)
    return DataLoader(TensorDataset(images, torch.arange(num_images) % num_classes), batch_size)


def fit(module, train, val=None, **settings):
    record = Record()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    defaults = {"accelerator": "cpu", "devices": 1, "enable_model_summary": False, "num_sanity_val_steps": 0}
    trainer = Trainer(**(quiet | defaults | settings), callbacks=[record])
    trainer.fit(module, train, train if val is None else val)
    return trainer, record


def without_dropout(module):
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return module


@over_families
@pytest.mark.parametrize("recipe", ["quick", "modern"])
def test_the_loss_by_hand(architecture, size, recipe):
    module = without_dropout(ImageClassifier(architecture.key, 10, size, recipe)).train()
    images, labels = torch.randn(3, 3, size, size), torch.tensor([1, 5, 9])
    outputs = module.network(images)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    smoothing = {"quick": 0.0, "modern": 0.1}[recipe]
    losses = []
    for logits in outputs:
        likely = F.log_softmax(logits, 1)
        of_labels = likely.gather(1, labels[:, None]).mean()
        losses.append(-(1 - smoothing) * of_labels - smoothing * likely.mean())
    heads = zip(module.network.auxiliary_weights, losses[1:], strict=True)
    expected = losses[0] + sum(weight * loss for weight, loss in heads)
    torch.testing.assert_close(module.training_step((images, labels), 0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["googlenet", "resnet18"])
@pytest.mark.parametrize("recipe", ["quick", "modern"])
def test_the_loss_of_mixed_images_by_hand(architecture, recipe):
    """The sum over classes of share times -log, at every head; smoothing spreads what the shares leave."""
    module = without_dropout(ImageClassifier(architecture, 10, 64, recipe)).train()
    images, shares = torch.randn(3, 3, 64, 64), torch.zeros(3, 10)
    shares[:, 1], shares[:, 7] = 0.75, 0.25
    outputs = module.network(images)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    smoothing = {"quick": 0.0, "modern": 0.1}[recipe]
    smoothed = shares * (1 - smoothing) + smoothing / 10
    losses = [-(smoothed * F.log_softmax(logits, 1)).sum(1).mean() for logits in outputs]
    heads = zip(module.network.auxiliary_weights, losses[1:], strict=True)
    expected = losses[0] + sum(weight * loss for weight, loss in heads)
    torch.testing.assert_close(module.training_step((images, shares), 0), expected, rtol=1e-4, atol=1e-5)
    right = int((outputs[0].argmax(1) == 1).sum())
    assert float(module.train_errors.compute()["error_top1"]) == pytest.approx(100 * (1 - right / 3))


def test_googlenet_adds_its_heads():
    module = without_dropout(ImageClassifier("googlenet", 10, 64, "paper")).train()
    images, labels = torch.randn(3, 3, 64, 64), torch.tensor([1, 5, 9])
    main, first, second = (F.cross_entropy(logits, labels) for logits in module.network(images))
    loss = module.training_step((images, labels), 0)
    torch.testing.assert_close(loss, main + 0.3 * first + 0.3 * second)
    assert loss.item() > main.item()
    loss.backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_the_step_knows_no_network():
    """No decision of the classifier compares with a name that belongs to one network."""
    known = registry.architectures().values()
    names = {name for one in known for name in (one.key, one.name, one.family, *one.options)}
    names |= {value for one in known for values in one.options.values() for value in values}
    tree = ast.parse(inspect.getsource(classifier))
    decisions = [
        node for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp | ast.Compare | ast.Match)
    ]
    inside = [part for node in decisions for part in ast.walk(node)]
    assert not names & {part.value for part in inside if isinstance(part, ast.Constant)}


@pytest.fixture(scope="module")
def trained(architecture, size):
    """One epoch of two steps; the learning rate is low, for two images say little about a channel."""
    module = ImageClassifier(architecture.key, 10, size, learning_rate=1e-4)
    trainer, record = fit(module, batches(4, size), batches(3, size), max_epochs=1)
    return module, trainer, record


@over_families
def test_one_epoch_logs_percent(trained):
    _, trainer, record = trained
    assert set(trainer.callback_metrics) == LOGGED
    (figures,) = record.epochs
    assert all(math.isfinite(value) for value in (*figures.values(), *record.losses))
    for split, num_images in (("train", 4), ("val", 3)):
        top1, top5 = (figures[f"{split}/error_top{k}"] / 100 * num_images for k in (1, 5))
        assert 0 <= round(top5) <= round(top1) <= num_images
        assert (top1, top5) == pytest.approx((round(top1), round(top5)), abs=1e-3)
    assert trainer.global_step == len(record.losses) == 2


def test_errors_and_loss_of_validation_by_hand():
    module = ImageClassifier("resnet18", 10, 32, "modern")
    val = batches(5, 32)
    trainer, _ = fit(module, batches(4, 32), val, max_epochs=1)
    images, labels = val.dataset.tensors
    with torch.no_grad():
        logits = module.eval()(images)
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    found = trainer.callback_metrics
    assert float(found["val/error_top1"]) == pytest.approx(100 * float((ranks >= 1).float().mean()))
    assert float(found["val/error_top5"]) == pytest.approx(100 * float((ranks >= 5).float().mean()))
    expected = float(F.cross_entropy(logits, labels))  # by image, and without smoothing
    assert float(found["val/loss"]) == pytest.approx(expected, rel=1e-4)


def test_fewer_classes_than_five():
    module = ImageClassifier("resnet18", 3, 32)
    trainer, _ = fit(module, batches(6, 32, num_classes=3), max_epochs=1)
    assert float(trainer.callback_metrics["train/error_top5"]) == 0.0


@over_families
def test_bfloat16_trains(architecture, size):
    module = ImageClassifier(architecture.key, 10, size, learning_rate=1e-4)
    _, record = fit(module, batches(2, size), max_epochs=1, limit_val_batches=0, precision="bf16-mixed")
    assert math.isfinite(record.losses[0])
    assert all(parameter.dtype is torch.float32 for parameter in module.parameters())
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in module.parameters())


@over_families
def test_a_small_step_lowers_the_loss(architecture, size):
    """One step along the gradient, as long as ought to lower the loss by one percent, does so."""
    module = without_dropout(ImageClassifier(architecture.key, 10, size, "paper")).train()
    batch = torch.randn(4, 3, size, size), torch.arange(4)
    loss = module.training_step(batch, 0)
    loss.backward()
    with torch.no_grad():
        before = loss.item()
        slope = sum(float(parameter.grad.square().sum()) for parameter in module.parameters())
        for parameter in module.parameters():
            parameter -= 0.01 * before / slope * parameter.grad
        after = module.training_step(batch, 0).item()
    assert 0.985 * before < after < 0.995 * before


def test_one_batch_is_learnt_by_heart():
    module = ImageClassifier("resnet18", 10, 32, learning_rate=0.01)
    _, record = fit(module, batches(10, 32, batch_size=10), max_epochs=15)
    assert record.losses[-1] < 0.05 * record.losses[0]
    errors = [figures["train/error_top1"] for figures in record.epochs]
    assert len(errors) == 15 and errors[0] > 50
    assert errors[-3:] == [0.0] * 3  # a mean over all epochs would still remember the first
    assert record.epochs[-1]["train/error_top5"] == 0.0


def test_lightning_follows_the_schedule():
    module = ImageClassifier("resnet18", 10, 32, "modern", learning_rate=0.01)
    _, record = fit(module, batches(8, 32), max_epochs=5)  # 20 steps, of which a tenth warms up
    falling = [0.01 * 0.5 * (1 + math.cos(math.pi * step / 18)) for step in range(18)]
    assert record.rates == pytest.approx([0.01 / 3, 0.02 / 3, *falling])


def test_the_schedule_counts_steps_of_the_optimizer():
    module = ImageClassifier("resnet18", 10, 32, "modern", learning_rate=0.01)
    _, record = fit(module, batches(8, 32), max_epochs=5, accumulate_grad_batches=2)
    falling = [0.01 * 0.5 * (1 + math.cos(math.pi * step / 9)) for step in range(9)]
    assert record.rates[::2] and sorted(set(record.rates), reverse=True) == pytest.approx(
        sorted({0.01 / 2, *falling}, reverse=True)
    )


class GradientNorm(Callback):
    """Notes how long each gradient is when the optimiser gets it."""

    def __init__(self):
        self.norms = []

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        found = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
        if found:
            self.norms.append(float(nn.utils.get_total_norm(found)))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    ("of_recipe", "of_trainer", "longest"), [(0.02, None, 0.02), (0.02, 0.01, 0.01), (None, 0.01, 0.01)]
)
def test_gradients_are_clipped_as_the_recipe_or_the_trainer_says(of_recipe, of_trainer, longest, precision):
    """Also in mixed precision, in which fused optimisers cannot be clipped."""
    module = ImageClassifier("resnet18", 10, 32, "paper", learning_rate=1e-3)
    module.recipe = replace(module.recipe, gradient_clip=of_recipe)
    norms = GradientNorm()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        gradient_clip_val=of_trainer,
        precision=precision,
        callbacks=[norms],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches(6, 32), batches(2, 32))
    # Lightning zeroes before each step: what is there then is the gradient of the step before.
    assert norms.norms == pytest.approx([longest] * len(norms.norms), rel=1e-3) and norms.norms


def test_epochs_are_those_of_the_data_when_steps_run_out():
    """GoogLeNet's rate falls every 8 epochs, wherever the trainer is told to stop."""
    module = ImageClassifier("googlenet", 10, 47, "paper")
    settings = {"max_epochs": 100, "max_steps": 18, "limit_val_batches": 0}
    _, record = fit(module, batches(4, 47), **settings)
    assert record.rates == pytest.approx([0.01] * 16 + [0.0096] * 2)
    module = ImageClassifier("googlenet", 10, 47, "paper")
    _, record = fit(module, batches(4, 47), **(settings | {"max_epochs": -1}))
    assert record.rates == pytest.approx([0.01] * 16 + [0.0096] * 2)


def test_lightning_follows_the_plateau():
    """One image under both labels: half of them are wrong whatever the network says."""
    module = ImageClassifier("resnet18", 2, 32, "paper", learning_rate=1e-3)
    assert module.recipe.schedule == Plateau(0.1, patience_epochs=5, reductions=3)
    ambiguous = TensorDataset(torch.randn(1, 3, 32, 32).repeat(2, 1, 1, 1), torch.arange(2))
    _, record = fit(module, batches(2, 32, num_classes=2), DataLoader(ambiguous, 2), max_epochs=14)
    assert {figures["val/error_top1"] for figures in record.epochs} == {50.0}
    assert record.rates == pytest.approx([1e-3] * 7 + [1e-4] * 6 + [1e-5])


def test_a_batch_without_readable_images_does_not_count():
    images, labels = torch.randn(2, 3, 32, 32), torch.arange(2)
    module = ImageClassifier("resnet18", 10, 32)
    val = DataLoader([(images, labels), (images[:0], labels[:0])], batch_size=None)
    trainer, _ = fit(module, batches(2, 32), val, max_epochs=1)
    with torch.no_grad():
        expected = F.cross_entropy(module.eval()(images), labels)
    assert float(trainer.callback_metrics["val/loss"]) == pytest.approx(float(expected), rel=1e-4)


def test_options_and_learning_rate_arrive():
    module = ImageClassifier("resnet50", 10, 64, options={"stride_on": "3x3"}, learning_rate=0.5)
    assert module.recipe.learning_rate == 0.5
    strides = [part.stride for part in module.network.conv3[0].residual if isinstance(part, nn.Conv2d)]
    assert strides == [(1, 1), (2, 2), (1, 1)]
    with refused(InvalidChoice.LEARNING_RATE, learning_rate=0.0):
        ImageClassifier("resnet18", 10, 64, learning_rate=0.0)


@over_families
def test_too_small_an_image_is_refused(architecture):
    with refused(InvalidChoice.IMAGE_TOO_SMALL, smallest=architecture.minimum_size):
        ImageClassifier(architecture.key, 10, architecture.minimum_size - 1)


@over_families
def test_a_checkpoint_brings_it_all_back(trained, size, tmp_path):
    module, trainer, _ = trained
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = ImageClassifier.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert dict(loaded.hparams) == dict(module.hparams)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(images), module.eval()(images))
