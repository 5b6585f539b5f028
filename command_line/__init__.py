"""What every command line of the arena has in common: options, errors and exit codes."""

import argparse
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

WRONG, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """One whose options may be typed with dashes or underscores, and whose errors are one sentence."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse with all options in the one spelling."""
        return super().parse_known_args(underscored(sys.argv[1:] if args is None else args), namespace)

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2, without the usage."""
        self.exit(WRONG, message + ("\n" if message.endswith((".", "?")) else ".\n"))


def underscored(words: Sequence[str]) -> list[str]:
    """Spell options with underscores: ``--image-size=64`` becomes ``--image_size=64``."""
    spelt: list[str] = []
    for number, word in enumerate(words):
        if word == "--":
            return [*spelt, *words[number:]]
        name, equals, value = word.partition("=")
        is_option = name.startswith("--") and " " not in name
        spelt.append(f"--{name[2:].replace('-', '_')}{equals}{value}" if is_option else word)
    return spelt


def add_commands(parser: argparse.ArgumentParser, package: ModuleType) -> None:
    """Offer what lies in a package: one file a command, found by its name.

    Args:
        parser: To add them to; what runs a command is then ``run``.
        package: Each of its modules has ``HELP`` (one line), ``add_arguments(parser)`` and ``run``.
    """
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for found in pkgutil.iter_modules(package.__path__):
        command = import_module(f"{package.__name__}.{found.name}")
        subparser = subparsers.add_parser(found.name, help=command.HELP, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)


def answer(act: Callable[[], object], refusals: tuple[type[Exception], ...] = (ValueError,)) -> int:
    """Do what was asked for and return the exit code: 0, 2 when it is refused, 130 when interrupted.

    Args:
        act: To do.
        refusals: Errors whose message is the sentence for the user, who can put it right.
    """
    try:
        act()
        sys.stdout.flush()
    except refusals as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # Whoever reads the output has seen enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
