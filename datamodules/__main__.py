"""Looks after images from a shell: ``python -m datamodules list``; each command is a file in commands/."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from datamodules import commands
from datamodules.errors import DataError, explain

WRONG, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in a sentence, without its usage."""

    def error(self, message: str) -> NoReturn:
        """Leaves with exit code 2."""
        self.exit(WRONG, message + ("\n" if message.endswith((".", "?")) else ".\n"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 2 for what the user can put right, 130 when interrupted."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except (DataError, ValueError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read along has seen enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # such as a full disk
        parser.error(explain(error))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, each command with what runs it as ``run``."""
    parser = Parser(prog="python -m datamodules", description="Images: sources, preparation, checks.")
    found = commands.available()
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in found.items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    # Whoever asks the process to end gets the same orderly end as from Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
