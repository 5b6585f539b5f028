"""Parts 1 and 12: what there is, and whether queued jobs train on the GPU that is shown."""

import os
import time
from collections.abc import Iterator

import torch

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.children import value_of
from benchmarks.gpu.results import Row
from jobs.host.machine import describe_machine
from jobs.submission.spec import JobSpec
from jobs.submission.submit import submit
from jobs.supervision.shutdown import shutdown
from jobs.supervision.supervisor import ensure_supervisor
from tracking import runs
from training.hardware import find_problem, missing_compiler

LIMIT_S = 120.0


def facts(bench: Bench) -> Iterator[Row]:
    """Part 1: driver, architectures, and how long it takes to ask."""
    began_s = time.perf_counter()
    machine = describe_machine()
    first_s = time.perf_counter() - began_s
    yield Row("processor", f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GB")
    gpus = ", ".join(
        f"{gpu.name} ({gpu.memory_bytes / 2**30:.0f} GB, {gpu.capability})" for gpu in machine.gpus
    )
    yield Row("GPUs", gpus or "none", "one or more", bool(machine.gpus) or bench.is_small)
    yield Row("driver", machine.driver or "none")
    yield Row("asked through NVML", f"{1000 * first_s:.0f} ms", "below 5,000 ms", first_s < 5)
    yield Row(
        "PyTorch",
        f"{torch.__version__}, CUDA {torch.version.cuda}, built for {torch._C._cuda_getArchFlags()}",
    )
    found = [find_problem(gpu.capability, gpu.name, machine.driver) for gpu in machine.gpus]
    problems = [str(one) for one in found if one]
    yield Row("PyTorch can use them", "; ".join(problems) or "yes", "yes", not problems)
    missing = missing_compiler(bench.device)
    yield Row("torch.compile", f"lacks {missing}" if missing else "has what it needs")


def queue(bench: Bench) -> Iterator[Row]:
    """Part 12: two jobs at once in the queue, with every kind of mask."""
    gpus = describe_machine().gpus
    masks: list[tuple[str, str | None, str]] = [("no mask", None, bench.device), ("an empty mask", "", "cpu")]
    if gpus:
        masks += [("by index", gpus[0].index, "cuda"), ("by UUID", gpus[0].uuid, "cuda")]
    for name, mask, device in masks[:1] if bench.is_small else masks:
        found = value_of(lambda mask=mask: submit_two(bench, mask), bench.log, LIMIT_S + 60)  # type: ignore[misc]
        yield Row(
            f"two jobs, {name}",
            "; ".join(found),
            f"FINISHED on {device}",
            all(one.startswith("FINISHED") and (device == "cpu") == (" on cpu" in one) for one in found),
        )


def submit_two(bench: Bench, mask: str | None) -> list[str]:
    """Submit two jobs under a mask and return how each ended, where, and in which slot."""
    os.environ |= bench.store.environment
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    if mask is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = mask
    spec = JobSpec(("cifar_resnet20", "resnet18"), image_size=32, batch_size=64, epochs=1)
    configs = spec.configs()
    for config in configs:
        config["trainer"] |= {"limit_train_batches": 4, "limit_val_batches": 2}
    ids = [submit(bench.store, config, check=False) for config in configs]
    try:
        ensure_supervisor(bench.store)
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s:
            ended = [runs.get_run(bench.store, run_id) for run_id in ids]
            if all(run.is_terminal for run in ended):
                break
            time.sleep(0.3)
    finally:
        list(shutdown(bench.store))
    ended = [runs.get_run(bench.store, run_id) for run_id in ids]
    return [
        f"{run.status} on {run.params.get('device', '?')} in {run.tags.get('job.slots')} {run.error}".strip()
        for run in ended
    ]
