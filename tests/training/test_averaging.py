"""The moving average of the weights: what it is, what is validated and what is kept."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_modules.classifier import ImageClassifier
from lightning_modules.weights import Rescale
from tests.refusals import refused
from training.callbacks.averaging import MovingAverage, average_in_place
from training.problems import InvalidSettings


class Walk(LightningModule):
    """A weight and a running statistic that go somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.BatchNorm1d(2, affine=True)
        self.seen: list[Tensor] = []
        self.validated: list[Tensor] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.layer(batch).pow(3).sum()

    def on_train_batch_end(self, *rest: object) -> None:
        self.seen.append(torch.cat([self.layer.weight, self.layer.running_mean]).detach().clone())

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.validated.append(torch.cat([self.layer.weight, self.layer.running_mean]).detach().clone())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:.*does not have many workers", "ignore:.*logging interval"
)
@pytest.mark.parametrize("decay", [0.3, 0.99])
def test_what_is_validated_is_the_average(decay: float, tmp_path: Path) -> None:
    batches = [torch.randn(4, 2, generator=torch.Generator().manual_seed(seed)) + seed for seed in range(5)]
    module = Walk()
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[MovingAverage(decay)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(batches, batch_size=None), DataLoader(batches[:1], batch_size=None))
    average = module.seen[0]
    for updates, weights in enumerate(module.seen[1:], start=1):
        share = min(decay, (1 + updates) / (10 + updates))
        average = share * average + (1 - share) * weights
    torch.testing.assert_close(module.validated, [average])
    torch.testing.assert_close(module.layer.weight.detach(), module.seen[-1][:2])
    with average_in_place(trainer):
        torch.testing.assert_close(module.layer.weight.detach(), average[:2])
    assert module.layer.num_batches_tracked == 5


def one_step(module: ImageClassifier, folder: Path, steps: int, resumed: Path | None = None) -> Trainer:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        callbacks=[MovingAverage(0.9)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    batches = DataLoader([(images, torch.arange(2))] * 2, batch_size=None)
    trainer.fit(module, batches, batches, ckpt_path=resumed, weights_only=True)
    return trainer


@pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore:.*does not have many workers",
    "ignore:.*logging interval",
    "ignore:.*dataloader is not resumable",
)
def test_a_run_from_published_weights_goes_on(tmp_path: Path) -> None:
    """Its checkpoint has a layer that a new network has not: the weights want pixels from -1 to 1."""
    module = ImageClassifier("cifar_resnet20", num_classes=2, image_size=64)
    module.rescale = Rescale()
    one_step(module, tmp_path, 1).save_checkpoint(tmp_path / "one.ckpt")
    resumed = ImageClassifier("cifar_resnet20", num_classes=2, image_size=64)
    trainer = one_step(resumed, tmp_path, 2, tmp_path / "one.ckpt")
    assert isinstance(resumed.rescale, Rescale)
    trained = resumed.network.state_dict()
    with average_in_place(trainer):
        averaged = resumed.network.state_dict()
        torch.testing.assert_close(resumed.rescale.scale, Rescale().scale)
        assert any(not torch.equal(averaged[name], module.network.state_dict()[name]) for name in trained)


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with refused(InvalidSettings.EMA_DECAY):
        MovingAverage(decay)
