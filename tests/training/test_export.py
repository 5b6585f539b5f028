"""A run's weights in torchvision's hands."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from lightning_modules.classifier import ImageClassifier
from lightning_modules.problems import UnusableWeights
from problems import Code, InvalidValue
from tests.refusals import refused
from tests.training.conftest import Arena
from tracking.layout import REPOSITORY
from training.export import export
from training.problems import NoExport


def save(file: Path, architecture: str, size: int = 64, **options: str) -> ImageClassifier:
    module = ImageClassifier(architecture, 10, size, options=options)
    torch.save({"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict()}, file)
    return module


def test_torchvision_loads_what_was_trained_here(arena: Arena, tmp_path: Path) -> None:
    module = save(tmp_path / "last.ckpt", "resnet18").eval()
    output = tmp_path / "resnet18.pth"
    command = [
        sys.executable,
        "-m",
        "training",
        "export",
        str(tmp_path / "last.ckpt"),
        "--output",
        str(output),
    ]
    for code, sentence in (
        (0, "torchvision's resnet18."),
        (2, str(InvalidValue(NoExport.FILE_EXISTS, file=output))),
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=REPOSITORY, env=arena.environment, check=False
        )
        assert done.returncode == code and sentence in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    theirs = resnet18(num_classes=10)
    theirs.load_state_dict(torch.load(output, weights_only=True))
    # In double precision: two memory layouts add up in different orders.
    images = torch.randn(2, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        expected, found = module.double()(images), theirs.eval().double()(images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "code"),
    [
        ("alexnet", UnusableWeights.NO_COUNTERPART),
        ("resnet50", NoExport.OTHER_OPTION),
        ("vgg11", UnusableWeights.CANNOT_HOLD),
    ],
)
def test_what_cannot_be_exported(architecture: str, code: Code, arena: Arena, tmp_path: Path) -> None:
    save(tmp_path / "last.ckpt", architecture)
    with refused(code):
        export(arena.store, str(tmp_path / "last.ckpt"), tmp_path / "out.pth")
    with refused(NoExport.PUBLISHED):
        export(arena.store, "torchvision", tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()
