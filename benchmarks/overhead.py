"""What the arena takes beside the training itself: an idle supervisor, the way to the first step, writing.

Targets on two CPU cores: the supervisor under 1 % of a core and 150 MB; from Launch to the first training
step under 12 s; logging and checkpoints under 3 % of the training time. Seconds of the processor tell on a
machine that others use as well; those of the clock do not.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.clock import MARK
from benchmarks.startup import fill
from jobs.host.logs import read_log
from jobs.submission.spec import JobSpec
from jobs.submission.submit import submit
from jobs.supervision.shutdown import shutdown
from jobs.supervision.supervisor import ensure_supervisor
from tracking import runs
from tracking.store import Store

IDLE_S = 15.0
LIMIT_S = 300.0
MB = 10**6


def report() -> None:
    """Print all three."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mlruns").open()
        fill(store)
        os.environ["ARENA_MLRUNS"] = str(store.root)
        try:
            share, size_bytes = measure_idle(ensure_supervisor(store).pid)
            print(
                f"supervisor, idle: {share:.2%} of a core (target 1 %), {size_bytes / MB:.0f} MB (target 150)"
            )
            report_launch(store)
        finally:
            list(shutdown(store))


def measure_idle(pid: int) -> tuple[float, int]:
    """Return the share of a core, and the memory that is the process's own, in bytes."""
    process = psutil.Process(pid)
    time.sleep(3)
    before = process.cpu_times()
    time.sleep(IDLE_S)
    after = process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return used_s / IDLE_S, process.memory_full_info().uss


def report_launch(store: Store, architecture: str = "cifar_resnet20", epochs: int = 3) -> None:
    """Launch a training and print where the time until its first step goes, and what writing takes."""
    (config,) = JobSpec((architecture,), epochs=epochs).configs()
    config["trainer"]["callbacks"] = ["benchmarks.clock.Clock"]
    launched_s = time.time()
    run_id = submit(store, config)
    submitted_s = time.time()
    while (run := runs.get_run(store, run_id)).is_active and time.time() - launched_s < LIMIT_S:
        time.sleep(0.5)
    events = read_events(store, run_id)
    started_s = float(run.tags["job.create_time"])
    moments = [
        ("submit: check, imports of the asker, record", launched_s, submitted_s, None),
        ("until the supervisor starts it", submitted_s, started_s, None),
        ("imports, command line, record, images", started_s, events["setup"]["at"], events["setup"]["cpu_s"]),
    ]
    names = {"ready": "device, optimiser, params", "batch": "first batch", "step": "first step"}
    before = events["setup"]
    for event, name in names.items():
        now = events[event]
        moments.append((name, before["at"], now["at"], now["cpu_s"] - before["cpu_s"]))
        before = now
    print("\n| from Launch to the first step | s | s of the processor |\n|---|---|---|")
    for name, begin_s, end_s, cpu_s in moments:
        print(f"| {name} | {end_s - begin_s:.2f} | {'' if cpu_s is None else f'{cpu_s:.2f}'} |")
    print(f"| in all (target 12) | {before['at'] - launched_s:.2f} | {before['cpu_s']:.2f} |")
    end = events["end"]
    share = end["writing_s"] / end["training_s"]
    print(f"\nlogging and checkpoints: {share:.2%} of {end['training_s']:.0f} s of training (target 3 %)")


def read_events(store: Store, run_id: str) -> dict[str, dict[str, Any]]:
    """Return what `benchmarks.clock` has printed, by event."""
    lines = (line for line in read_log(store, run_id, 10_000).splitlines() if line.startswith(MARK))
    found = [json.loads(line.removeprefix(MARK)) for line in lines]
    return {line["event"]: line for line in found}
