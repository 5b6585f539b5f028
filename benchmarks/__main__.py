"""``python -m benchmarks [startup|architectures|arena|throughput|memory]``: all of them without a name."""

import argparse
from pathlib import Path

from benchmarks import architectures, arena, memory, startup, throughput

REPORTS = {
    "startup": startup.report,
    "architectures": architectures.report,
    "arena": arena.report,
    "throughput": throughput.report,
    "memory": memory.report,
}


def main() -> None:
    """Runs what is asked for and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(REPORTS)}; all by default")
    parser.add_argument("--folder", type=Path, help="train ResNet-18 on this folder of small photographs")
    options = parser.parse_args()
    if unknown := set(options.names) - set(REPORTS):
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    for name in options.names or ([] if options.folder else REPORTS):
        REPORTS[name]()
    if options.folder:
        arena.report_folder(options.folder)


if __name__ == "__main__":
    main()
