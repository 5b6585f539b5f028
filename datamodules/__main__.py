"""Work on images from a shell: ``python -m datamodules list``; each command is a file in commands/."""

import signal
import sys
from collections.abc import Sequence

from command_line import Parser, add_commands, answer
from datamodules import commands
from datamodules.problems import explain
from problems import Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 2 for an error that the user can fix, 130 if interrupted."""
    options = build_parser().parse_args(arguments)

    def run() -> None:
        try:
            options.run(options)
        except BrokenPipeError:
            raise
        except OSError as error:  # such as a full disk
            raise explain(error) from error

    return answer(run, (Problem,))


def build_parser() -> Parser:
    """Return the parser of the command line; the function of each command is its ``run``."""
    parser = Parser(prog="python -m datamodules", description="Images: sources, preparation, checks.")
    add_commands(parser, commands)
    return parser


if __name__ == "__main__":
    # A request to terminate ends the command as cleanly as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
