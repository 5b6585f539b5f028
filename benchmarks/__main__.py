"""``python -m benchmarks [NAME ...]``: all of them without a name; ``gpu`` has options of its own."""

import sys
from importlib import import_module
from pathlib import Path

from command_line import Parser

# Each is a module with a `report`; imported when it is asked for, since some need a browser.
REPORTS = ("startup", "overhead", "architectures", "arena", "throughput", "memory", "index")
OF_PHOTOGRAPHS = ("loading", "feeding")


def main() -> None:
    """Run what is asked for and print Markdown tables."""
    if sys.argv[1:2] == ["gpu"]:
        import_module("benchmarks.gpu.command").main(sys.argv[2:])
        return
    parser = Parser(description=__doc__)
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
        report = import_module(f"benchmarks.{name}").report
        if name in OF_PHOTOGRAPHS:
            report(options.folder)
        else:
            report()
    if options.folder and not options.names:
        import_module("benchmarks.arena").report_folder(options.folder[0])


if __name__ == "__main__":
    main()
