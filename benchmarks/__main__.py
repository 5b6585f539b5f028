"""``python -m benchmarks [throughput|arena|startup]``: all of them without a name."""

import argparse

from benchmarks import arena, startup, throughput


def main() -> None:
    """Runs what is asked for and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=("throughput", "arena", "startup"))
    parser.add_argument("--architectures", nargs="+", default=list(throughput.BATCH_SIZES))
    parser.add_argument("--num-steps", type=int, default=6)
    parser.add_argument("--num-rounds", type=int, default=3)
    options = parser.parse_args()
    if options.name in (None, "startup"):
        startup.report()
    if options.name in (None, "arena"):
        arena.report()
    if options.name in (None, "throughput"):
        throughput.report(options.architectures, options.num_steps, options.num_rounds)


if __name__ == "__main__":
    main()
