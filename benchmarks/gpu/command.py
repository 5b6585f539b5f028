"""The command: which parts, for how long, and where the results go."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.gpu import cifar, devices, photographs, speed, syncs, trainings
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.children import ChildFailed, rows_of, value_of
from benchmarks.gpu.results import Part, Results, Row, table
from command_line import Parser
from jobs.supervision.shutdown import shutdown
from tracking.client import load_mlflow
from tracking.store import Store

SECONDS = 470.0
LOG = "log.txt"
PART_TIMEOUT_S = 300.0

PARTS: dict[str, tuple[str, Callable[[Bench], Iterator[Row]]]] = {
    "facts": ("1. The machine", devices.facts),
    "ddp": ("2. DistributedDataParallel with one device", trainings.distributed),
    "resume": ("3. Stopped at half and resumed, against straight through", trainings.resuming),
    "clipping": ("4. Clipped gradients in mixed precision", trainings.clipping),
    "syncs": ("5. Lines of a step that wait for the GPU, in ten steps", syncs.syncs),
    "races": ("6. Batches arrive whole", photographs.races),
    "speed": ("7. Images per second, beside the bare loop", speed.throughput),
    "compile": ("8. Compiled graphs", speed.compilation),
    "memory": ("9. Memory: the estimate, and a batch that cannot fit", speed.memory),
    "float16": ("10. Inception-v3 in float16", trainings.half_precision),
    "norm": ("11. Local response normalisation against torch's", speed.normalisation),
    "queue": ("12. Two queued jobs under each mask", devices.queue),
    "loading": ("13. Training from photographs", photographs.waiting),
    "cifar": ("14. ResNet-20 on CIFAR-10", cifar.training),
}


def main(arguments: Sequence[str]) -> None:
    """Run what is asked for."""
    parser = Parser(prog="python -m benchmarks gpu")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="PART",
        help=f"of {', '.join(PARTS)}; all by default",
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts together (%(default)g)")
    parser.add_argument("--output", type=Path, default=Path("gpu-results"), metavar="DIR")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="CIFAR-10's binary version, its archive, or that in parts; photographs; may be given again",
    )
    options = parser.parse_args(arguments)
    run(options.parts, options.seconds, options.output.absolute(), options.data)


def run(names: Sequence[str], seconds: float, output: Path, data: list[Path]) -> Results:
    """Run parts that are not done yet, in their order, and return what is known then."""
    ends_s = time.monotonic() + seconds
    results = Results(output)
    with tempfile.TemporaryDirectory(prefix="arena-gpu-") as place:
        folder = Path(place)
        store = Store(folder / "mlruns")
        load()
        value_of(lambda: str(store.open().root), output / LOG)
        os.environ |= store.environment | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
        device = find_device(output / LOG)
        for name in names:
            if results.is_done(name):
                continue
            left_s = ends_s - time.monotonic()
            title, work = PARTS[name]
            results.parts[name] = part = Part(title)
            if left_s < 5:
                part.state, part.note = "skipped", "No time was left."
            else:
                bench = Bench(device, folder, store, output / LOG, left_s, output, data)
                run_part(part, work, bench, results)
            results.write()
            print(table(part), flush=True)
        value_of(lambda: list(shutdown(store)), output / LOG)
    return results


def load() -> None:
    """Import what every child needs and open nothing: neither a database nor a GPU survives a fork."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    load_mlflow()
    for module in ("mlflow.store.tracking.sqlalchemy_store", "torch._dynamo", "training.__main__"):
        import_module(module)


def run_part(part: Part, work: Callable[[Bench], Iterator[Row]], bench: Bench, results: Results) -> None:
    """Run one part in a child; what it has found is written row by row."""
    began_s = time.monotonic()
    timeout_s = bench.seconds if work is cifar.training else min(PART_TIMEOUT_S, bench.seconds)
    try:
        for row in rows_of(lambda: map(asdict, work(bench)), bench.log, timeout_s + 30):
            part.rows.append(Row(**row))
            part.seconds = time.monotonic() - began_s
            results.write()
        part.state = "done"
    except ChildFailed as error:
        part.state, part.note = "failed", f"{error}; {LOG} has the whole story."
    except TimeoutError:
        part.state, part.note = "cut off", f"It took more than {timeout_s:.0f} s."
    part.seconds = time.monotonic() - began_s


def find_device(log: Path) -> str:
    """Return ``cuda`` or ``cpu``; asked in a child, since a process that has opened a GPU cannot fork."""
    return "cuda" if value_of(torch.cuda.is_available, log) else "cpu"
