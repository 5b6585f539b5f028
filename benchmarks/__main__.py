"""``python -m benchmarks [NAME ...]``: all of them without a name."""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import architectures, arena, feeding, index, loading, memory, overhead, startup, throughput

REPORTS: dict[str, Callable[[], None]] = {
    "startup": startup.report,
    "overhead": overhead.report,
    "architectures": architectures.report,
    "arena": arena.report,
    "throughput": throughput.report,
    "memory": memory.report,
    "index": index.report,
}
OF_PHOTOGRAPHS: dict[str, Callable[[list[Path]], None]] = {
    "loading": loading.report,
    "feeding": feeding.report,
}


def main() -> None:
    """Runs what is asked for and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*REPORTS, *OF_PHOTOGRAPHS]
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}; all by default")
    parser.add_argument(
        "--folder",
        type=Path,
        action="append",
        default=[],
        help="photographs for `loading` and `feeding`, which may be given more than once; without a name, "
        "train ResNet-18 on this folder of small photographs",
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    for name in options.names or ([] if options.folder else names):
        if name in OF_PHOTOGRAPHS:
            OF_PHOTOGRAPHS[name](options.folder)
        else:
            REPORTS[name]()
    if options.folder and not options.names:
        arena.report_folder(options.folder[0])


if __name__ == "__main__":
    main()
