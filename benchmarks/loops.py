"""Two training loops without a framework, to hold ours against.

``python -m benchmarks.loops plain|bare ARCHITECTURE --batch_size N --image_size S --num_steps K``
prints images per second of the steps after the first, as one JSON line.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules import registry
from lightning_modules.networks.local_response_norm import LocalResponseNorm
from training.hardware import choose_precision, keep_freed_memory
from training.trial import wait_for

Step = Callable[[], None]


def plain_step(network: nn.Module, batch_size: int, image_size: int) -> Step:
    """Train as pytorch/examples' ImageNet script: float32, NCHW, eager SGD, top-1 and top-5 each step.

    The layers are torch's own throughout.
    """
    use_torch_norm(network)
    images = torch.randn(batch_size, 3, image_size, image_size)
    labels = torch.randint(0, 1000, (batch_size,))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        outputs = network(images)
        loss = total_loss(network, outputs, labels, criterion)
        count_hits(outputs[0] if isinstance(outputs, tuple) else outputs, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()

    return step


def bare_step(
    network: nn.Module, batch_size: int, image_size: int, num_classes: int = 1000, compiled: bool = False
) -> Step:
    """Train with the settings of our defaults (layout, precision, allocator, fused SGD) and nothing else.

    It waits for no device; whoever times it does so at its end.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.randint(0, 256, (batch_size, 3, image_size, image_size), dtype=torch.uint8, device=device)
    images = images.to(memory_format=torch.channels_last)
    shift, scale = (torch.full((3, 1, 1), value, device=device) for value in (-2.0, 1 / 58))
    labels = torch.randint(0, num_classes, (batch_size,), device=device)
    criterion = nn.CrossEntropyLoss()
    torch.backends.cudnn.benchmark = True
    network = network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    half = choose_precision(device.type) == "bf16-mixed"
    if compiled:
        network.compile(dynamic=False)

    def step() -> None:
        pixels = torch.addcmul(shift, images.float(), scale)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = total_loss(network, network(pixels), labels, criterion)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def use_torch_norm(network: nn.Module) -> None:
    """Put torch's local response normalisation in the place of ours: a script would not have ours."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, LocalResponseNorm):
                setattr(parent, name, nn.LocalResponseNorm(5, k=child.k))


def total_loss(
    network: nn.Module, outputs: Tensor | tuple[Tensor, ...], labels: Tensor, criterion: nn.Module
) -> Tensor:
    """Add the weighted losses of auxiliary heads, if the network has any."""
    logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    loss: Tensor = criterion(logits, labels)
    weights = cast(tuple[float, ...], network.auxiliary_weights)
    for weight, extra in zip(weights, auxiliary, strict=True):
        loss = loss + weight * criterion(extra, labels)
    return loss


@torch.no_grad()
def count_hits(logits: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return how many labels are the first, and among the first five."""
    hits = logits.topk(5).indices.eq(labels[:, None])
    return int(hits[:, 0].sum()), int(hits.sum())


def main() -> None:
    """Time one loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", choices=("plain", "bare"))
    parser.add_argument("architecture")
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--num_steps", type=int, default=6)
    options = parser.parse_args()
    if options.loop == "bare":
        keep_freed_memory()
    torch.manual_seed(0)
    network = registry.get(options.architecture).build(1000, options.image_size).train()
    build = {"plain": plain_step, "bare": bare_step}[options.loop]
    step = build(network, options.batch_size, options.image_size)
    device = next(network.parameters()).device
    step()
    wait_for(device)
    start_s = time.perf_counter()
    for _ in range(options.num_steps):
        step()
    wait_for(device)
    seconds = time.perf_counter() - start_s
    print(json.dumps({"images_per_s": options.num_steps * options.batch_size / seconds}))


if __name__ == "__main__":
    main()
