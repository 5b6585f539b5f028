"""How a command line ends, whether its `main` returns the exit code or leaves with it."""

from collections.abc import Callable, Sequence


def exit_code(main: Callable[[Sequence[str]], int], words: Sequence[str]) -> int | str | None:
    """The exit code of a command."""
    try:
        return main(words)
    except SystemExit as leaving:
        return leaving.code
