"""Parts 2, 3, 4 and 10: do trainings on a GPU end, go on, clip, and survive float16?"""

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.results import Row
from training.checkpoint_files import LAST, read

SMALL = (
    *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.batch_size", "32"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
)


def distributed(bench: Bench) -> Iterator[Row]:
    """Part 2: DistributedDataParallel with one device, whose collectives are NCCL's on a GPU."""
    settings = (
        *(*SMALL, "--trainer.limit_train_batches", "5"),
        *("--trainer.strategy", "ddp", "--trainer.devices", "1"),
    )
    fit = bench.fit(*settings)
    yield Row("a run under ddp, one process", fit.summary, "FINISHED", fit.run.status == "FINISHED")
    meeting = {"LOCAL_RANK": "0", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    environment = {**meeting, "WORLD_SIZE": "1", "RANK": "0"}
    fit = bench.fit(*settings, "--model.ema_decay", "0.9", environment=environment)
    is_done = fit.run.status == "FINISHED"
    yield Row("the same as torchrun starts it, with EMA", fit.summary, "FINISHED", is_done)


def resuming(bench: Bench) -> Iterator[Row]:
    """Part 3: stopped at half and resumed against straight through."""
    settings = (
        *(*SMALL, "--trainer.max_steps", "20", "--trainer.deterministic", "true"),
        *("--model.architecture", "alexnet_owt", "--data.image_size", "64"),
    )
    environment = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    straight = bench.fit(*settings, probes=["Losses"], environment=environment)
    yield Row("straight through", straight.summary, "FINISHED", straight.run.status == "FINISHED")
    run_id = bench.new_run()
    stopped = bench.fit(*settings, run_id=run_id, probes=["Losses", "StopHalfway"], environment=environment)
    yield Row("stopped at half", stopped.summary, "KILLED", stopped.run.status == "KILLED")
    last = read(bench.store.checkpoint_folder(run_id) / LAST)
    has_state = bench.device in last["random"][0]
    yield Row(
        f"random state of {bench.device} in the checkpoint",
        "there" if has_state else ", ".join(last["random"][0]),
        "there",
        has_state or bench.is_small,
    )
    resumed = bench.fit(*settings, run_id=run_id, probes=["Losses"], environment=environment)
    yield Row("resumed", resumed.summary, "FINISHED", resumed.run.status == "FINISHED")
    both = stopped.found["losses"] + resumed.found["losses"]
    worst = max(abs(one - other) for one, other in zip(straight.found["losses"], both, strict=True))
    yield Row("losses of all steps, largest difference (dropout included)", f"{worst:.2g}", "0", worst == 0)
    final = read(bench.store.checkpoint_folder(straight.run.run_id) / LAST)
    has_state = bench.device in final["random"][0]
    text = "there" if has_state else ", ".join(final["random"][0])
    yield Row("and in the last checkpoint", text, "there", has_state or bench.is_small)


def clipping(bench: Bench) -> Iterator[Row]:
    """Part 4: clipped gradients with both optimisers in both precisions."""
    precisions = ["bf16-mixed"] if bench.is_small else ["bf16-mixed", "16-mixed"]
    for precision in precisions:
        for optimizer, recipe in (("SGD", "paper"), ("AdamW", "quick")):
            fit = bench.fit(
                *SMALL,
                *("--model.recipe", recipe, "--trainer.precision", precision, "--trainer.max_steps", "8"),
                *("--trainer.gradient_clip_val", "0.1"),
            )
            what = f"clipped, {optimizer}, {precision}"
            yield Row(what, fit.summary, "FINISHED", fit.run.status == "FINISHED")


def half_precision(bench: Bench) -> Iterator[Row]:
    """Part 10: Inception-v3 in float16, 20 steps, half of them after a resume."""
    if bench.is_small:
        yield Row("Inception-v3 in float16", "needs a GPU: a CPU has no scaled float16")
        return
    settings = (
        *("--model.architecture", "inception_v3", "--model.recipe", "paper", "--data.source", "synthetic"),
        *("--data.image_size", "299", "--data.batch_size", "32", "--trainer.precision", "16-mixed"),
        *("--trainer.max_steps", "20", "--trainer.limit_val_batches", "0"),
    )
    run_id = bench.new_run()
    stopped = bench.fit(*settings, run_id=run_id, probes=["Losses", "StopHalfway"])
    last = read(bench.store.checkpoint_folder(run_id) / LAST)
    scaler: dict[str, Any] = last.get("MixedPrecision", {})
    yield Row(
        "scale of the loss in the checkpoint", json.dumps(scaler.get("scale")), "a number", bool(scaler)
    )
    resumed = bench.fit(*settings, run_id=run_id, probes=["Losses"])
    losses = stopped.found["losses"] + resumed.found["losses"]
    finite = all(abs(loss) < 1e4 for loss in losses)
    text = f"{resumed.summary}; loss {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps"
    yield Row("stopped and resumed", text, "FINISHED", resumed.run.status == "FINISHED" and finite)
