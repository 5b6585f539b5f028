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
    torch.compiler.reset()
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


def test_an_odd_last_batch_does_not_slow_down_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are made for each size by itself: three sizes, three graphs, and none for sizes of any kind."""
    torch.compiler.reset()
    sizes: list[object] = []

    def note(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        sizes.extend(one.shape[0] for one in inputs if one.ndim == 4 and one.shape[-1] == 32)
        return graph

    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **options: compiled(*args, backend=note, **options))
    network = ImageClassifier("cifar_resnet20", num_classes=3, image_size=32, compile=True).eval()
    with torch.no_grad():
        for size in (4, 3, 4, 2, 3):
            network(torch.rand(size, 3, 32, 32))
    assert sizes == [4, 3, 2] and all(isinstance(size, int) for size in sizes)
