"""Jobs from a shell: `python -m jobs submit alexnet --source digits`; each command is a file in commands/."""

import argparse
import os
import sys
from collections.abc import Sequence

from jobs import commands
from jobs.errors import LaunchError
from tracking.store import Store
from tracking.unavailable import StoreUnavailable

WRONG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = build_parser().parse_args(arguments)
    store = Store.default()
    try:
        options.act(store, options)
        sys.stdout.flush()
    except (LaunchError, StoreUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command line, each command with what runs it as `act`."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs", description="Submit, list and stop training jobs."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in commands.available().items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(act=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
