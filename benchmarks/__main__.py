"""``python -m benchmarks [throughput|arena|folder|startup]``: all of them without a name."""

import argparse

from benchmarks import arena, folder, startup, throughput

REPORTS = {"startup": startup.report, "arena": arena.report, "throughput": throughput.report}


def main() -> None:
    """Runs what is asked for and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*REPORTS, []], help="all by default")
    options = parser.parse_args()
    for name in options.names or REPORTS:
        REPORTS[name]()


if __name__ == "__main__":
    main()
