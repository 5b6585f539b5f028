"""Jobs from a shell: `python -m jobs submit alexnet --source digits`; one file in `commands/` per command."""

import sys
from collections.abc import Sequence

from command_line import Parser, add_commands, answer
from jobs import commands
from problems import Problem
from tracking.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = build_parser().parse_args(arguments)
    return answer(lambda: options.run(Store.default(), options), (Problem, ValueError))


def build_parser() -> Parser:
    """Return the parser of the command line; each command sets `run` to the function that runs it."""
    parser = Parser(prog="python -m jobs", description="Submit, list and stop training jobs.")
    add_commands(parser, commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
