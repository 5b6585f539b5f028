"""`torch.compile` changes how a network is computed, and nothing else."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from lightning_modules.classifier import ImageClassifier
from training.hardware import missing_compiler


@pytest.mark.skipif(bool(missing_compiler("cpu")), reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are the same, and names of weights, so that checkpoints fit both ways."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    images, labels = torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 2, 1])
    plain, compiled = (
        ImageClassifier("alexnet", num_classes=3, image_size=64, compile=on) for on in (False, True)
    )
    compiled.load_state_dict(plain.state_dict())
    graphs = torch._dynamo.utils.counters["stats"]
    before = graphs["unique_graphs"]
    for model in (plain, compiled):
        functional.cross_entropy(model.eval()(images), labels).backward()  # dropout would draw differently
    assert graphs["unique_graphs"] > before, "nothing was compiled"
    for (name, one), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, msg=name)
