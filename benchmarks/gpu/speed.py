"""Parts 7, 8, 9 and 11: how fast, how often compiled, how much memory, and one layer of our own."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.children import value_of
from benchmarks.gpu.results import Row
from benchmarks.loops import bare_step
from datamodules.sources import cifar10
from jobs.host.machine import describe_machine
from jobs.preflight.fitting import need_bytes
from jobs.preflight.questions import check_trial
from jobs.problems import LaunchError
from lightning_modules import registry
from lightning_modules.networks.local_response_norm import LocalResponseNorm
from training.batches import RETRY_BATCH
from training.problems import FAILURE, Failure
from training.trial import wait_for

# Network, images a step, pixels, steps that are measured; those of small images need more.
NETWORKS = (
    ("resnet50", 256, 224, 60),
    ("alexnet", 256, 224, 200),
    ("googlenet", 256, 224, 100),
    ("vgg16", 256, 224, 40),
    ("cifar_resnet20", 128, 32, 400),
)
SHARE, RESNET50_TARGET = 0.97, 2500
MIB = 2**20


def throughput(bench: Bench) -> Iterator[Row]:
    """Part 7: ``fit`` beside the bare loop, eager and compiled."""
    networks = (("cifar_resnet20", 16, 32, 12),) if bench.is_small else NETWORKS
    noise = make_cifar(bench.folder / "noise", 2_000 if bench.is_small else 50_000)
    for compiled in (False,) if bench.is_small else (False, True):
        for key, batch, size, steps in networks:
            bare = value_of(lambda: run_bare(key, batch, size, steps, compiled), bench.log)  # noqa: B023
            source = ("synthetic",) if size > 32 else ("cifar10", "--data.root", str(noise))
            fit = bench.fit(
                *("--model.architecture", key, "--data.source", *source, "--data.image_size", str(size)),
                *("--data.batch_size", str(batch), "--trainer.max_steps", str(steps + 25)),
                *("--trainer.limit_val_batches", "0", "--checkpoint_interval_s", "3600"),
                *("--model.recipe", "paper", "--model.compile", str(compiled).lower()),
                *("--model.learning_rate", "1e-4"),
                probes=["Pace"],
            )
            speed = fit.found.get("images_per_s", float("nan"))
            what = f"{key}, {size} px, {batch} images a step{', compiled' if compiled else ''}"
            found = f"fit {speed:,.0f}, bare {bare:,.0f} images/s: {speed / bare:.3f}"
            yield Row(what, found, f"{SHARE} of bare", speed / bare >= SHARE)
            if key == "resnet50":
                yield Row(
                    f"{what}: images/s", f"{speed:,.0f}", f"{RESNET50_TARGET:,}", speed >= RESNET50_TARGET
                )


def run_bare(key: str, batch: int, size: int, steps: int, compiled: bool) -> float:
    """Return images per second of a loop with nothing but the step."""
    torch.manual_seed(0)
    architecture = registry.get(key)
    network = architecture.build(None, size).train()
    step = bare_step(network, batch, size, architecture.num_classes, compiled)
    device = next(network.parameters()).device
    for _ in range(min(20, steps)):
        step()
    wait_for(device)
    began_s = time.perf_counter()
    for _ in range(steps):
        step()
    wait_for(device)
    return steps * batch / (time.perf_counter() - began_s)


def compilation(bench: Bench) -> Iterator[Row]:
    """Part 8: graphs of a compiled network with everything that may ask for more of them."""
    if bench.is_small:
        yield Row("compiled graphs", "needs a GPU: on a CPU it takes minutes")
        return
    fit = bench.fit(
        *("--model.architecture", "cifar_resnet20", "--model.compile", "true", "--model.ema_decay", "0.99"),
        *("--trainer.sync_batchnorm", "true", "--trainer.strategy", "ddp", "--trainer.devices", "1"),
        *("--data.image_size", "32", "--data.batch_size", "100", "--trainer.max_epochs", "2"),
        probes=["Graphs"],
    )
    yield Row(
        "compile + EMA + sync-BN under ddp, 364 images to validate on in batches of 100",
        fit.summary,
        "FINISHED",
        fit.run.status == "FINISHED",
    )
    graphs = fit.found.get("graphs", 0)
    yield Row("graphs: training, full and last batch of a validation", str(graphs), "3", graphs == 3)


def memory(bench: Bench) -> Iterator[Row]:
    """Part 9: the estimate against what is reserved, and a batch that cannot fit."""
    if bench.is_small:
        yield Row("memory of a GPU", "needs a GPU")
        return
    machine = describe_machine()
    for key, batch in (("alexnet", 512), ("vgg16", 128), ("googlenet", 256), ("resnet50", 256)):
        config = {
            "trainer": {"devices": 1, "max_epochs": 1},
            "model": {"architecture": key, "recipe": "paper"},
            "data": {"source": "synthetic", "image_size": 224, "batch_size": batch},
        }
        estimate = need_bytes(config, 1000, machine)
        fit = bench.fit(
            *("--model.architecture", key, "--model.recipe", "paper", "--data.source", "synthetic"),
            *("--data.image_size", "224", "--data.batch_size", str(batch), "--trainer.max_steps", "8"),
            *("--trainer.limit_val_batches", "0"),
            probes=["Peak"],
        )
        if "reserved" not in fit.found:
            yield Row(f"{key}, {batch} images", fit.summary)
            continue
        reserved, taken = fit.found["reserved"], fit.found["taken"]
        found = (
            f"estimate {estimate / MIB:,.0f}, reserved {reserved / MIB:,.0f}, the whole process "
            f"{taken / MIB:,.0f} MiB: {estimate / taken:.2f}"
        )
        yield Row(f"{key}, {batch} images", found, "0.85 to 1.25", 0.85 <= estimate / taken <= 1.25)
    too_large = 12_800
    fit = bench.fit(
        *("--model.architecture", "vgg16", "--data.source", "synthetic", "--data.image_size", "224"),
        *("--data.batch_size", str(too_large), "--trainer.max_steps", "2"),
    )
    failure, smaller = fit.run.tags.get(FAILURE), fit.run.tags.get(RETRY_BATCH)
    is_told = failure == Failure.OUT_OF_MEMORY and bool(smaller) and fit.code == 1
    yield Row(
        "a batch that cannot fit, in fit", fit.summary, "FAILED: Out of memory, with a batch to try", is_told
    )
    config = {
        "seed_everything": 0,
        "trainer": {"devices": 1, "max_epochs": 1, "accelerator": "auto"},
        "model": {"architecture": "vgg16", "recipe": "quick"},
        "data": {"source": "synthetic", "image_size": 224, "batch_size": too_large},
    }
    try:
        answer, _ = check_trial(bench.store, config, 1000, machine)
        told, is_told = answer.text, answer.verdict is False and answer.remedy is not None
    except LaunchError as error:
        told, is_told = str(error), False
    yield Row("a batch that cannot fit, in a trial", told, "needs more memory, with a batch to take", is_told)


def normalisation(bench: Bench) -> Iterator[Row]:
    """Part 11: local response normalisation against torch's, forward and backward."""
    yield from (Row(**row) for row in value_of(lambda: compare_norms(bench.device), bench.log))


def compare_norms(device: str) -> list[dict[str, object]]:
    """Return rows as mappings: time and error of AlexNet's first map, in each precision."""
    found: list[dict[str, object]] = []
    batch = 4 if device == "cpu" else 256
    ours, theirs = LocalResponseNorm(96, k=2.0).to(device), nn.LocalResponseNorm(5, k=2.0)
    exact = torch.randn(batch, 96, 55, 55, device=device).relu().to(memory_format=torch.channels_last)
    for dtype in (torch.float32, torch.bfloat16):
        name, limit = str(dtype).removeprefix("torch."), 1e-4 if dtype is torch.float32 else 5e-2
        maps, precise = exact.to(dtype).requires_grad_(), exact.clone().requires_grad_()
        pairs = zip(walk(ours, maps), walk(theirs, precise), strict=True)
        worst = max(float((one - other).abs().max()) for one, other in pairs)
        found.append(
            {
                "what": f"{name}: largest difference from torch in float32",
                "found": f"{worst:.1e}",
                "target": f"below {limit:g}",
                "ok": worst < limit,
            }
        )
        own_s = time_walk(ours, maps)
        try:
            torch_s = time_walk(theirs, maps)
        except NotImplementedError:
            told, ok = f"{1e3 * own_s:.2f} ms; torch has none on this device", None
        else:
            ratio = torch_s / own_s
            told = f"{1e3 * own_s:.2f} ms, torch {1e3 * torch_s:.2f} ms: {ratio:.1f} times as fast"
            ok = ratio > 1
        found.append({"what": f"{name}: forward and backward", "found": told, "target": "faster", "ok": ok})
    return found


def walk(layer: nn.Module, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return output and gradient in float32."""
    output = layer(maps)
    (gradient,) = torch.autograd.grad(output.float().square().sum(), maps)
    return output.detach().float(), gradient.float()


def time_walk(layer: nn.Module, maps: Tensor, count: int = 20) -> float:
    """Return the seconds of one walk there and back."""
    for _ in range(3):
        walk(layer, maps)
    wait_for(maps.device)
    began_s = time.perf_counter()
    for _ in range(count):
        walk(layer, maps)
    wait_for(maps.device)
    return (time.perf_counter() - began_s) / count


def make_cifar(root: Path, count: int) -> Path:
    """Make a folder like CIFAR-10's binary version, of noise."""
    folder = root / cifar10.NAME
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for name in (*cifar10.TRAIN, *cifar10.VAL):
        records = random.integers(0, 256, (count // 5, cifar10.RECORD_BYTES), dtype=np.uint8)
        records[:, 0] %= len(cifar10.CLASSES)
        records.tofile(folder / name)
    return root
