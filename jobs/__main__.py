"""Jobs from a shell: `python -m jobs submit alexnet --source digits`; each command is a file in commands/."""

import sys
from collections.abc import Sequence

from command_line import Parser, add_commands, answer
from jobs import commands
from jobs.errors import LaunchError
from tracking.problems import StoreUnavailable
from tracking.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = build_parser().parse_args(arguments)
    return answer(lambda: options.run(Store.default(), options), (LaunchError, StoreUnavailable, ValueError))


def build_parser() -> Parser:
    """Return the parser of the command line, each command with what runs it as `run`."""
    parser = Parser(prog="python -m jobs", description="Submit, list and stop training jobs.")
    add_commands(parser, commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
