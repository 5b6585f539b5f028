"""Looks after images from a shell: ``python -m datamodules list``; each command is a file in commands/."""

import signal
import sys
from collections.abc import Sequence

from command_line import Parser, add_commands, answer
from datamodules import commands
from datamodules.errors import DataError, explain


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 2 for what the user can put right, 130 when interrupted."""
    options = build_parser().parse_args(arguments)

    def run() -> None:
        try:
            options.run(options)
        except BrokenPipeError:
            raise
        except OSError as error:  # such as a full disk
            raise DataError(explain(error)) from error

    return answer(run, (DataError, ValueError))


def build_parser() -> Parser:
    """Returns the parser of the command line, each command with what runs it as ``run``."""
    parser = Parser(prog="python -m datamodules", description="Images: sources, preparation, checks.")
    add_commands(parser, commands)
    return parser


if __name__ == "__main__":
    # Whoever asks the process to end gets the same orderly end as from Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
