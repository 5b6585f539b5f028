"""What ``python -m datamodules`` can do: one file a command, found by its name.

Each file has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``. The latter raises
DataError or ValueError for what a user can put right; the message is then all that is printed. Nothing heavy,
such as torch, is imported before ``run``.
"""

import pkgutil
from importlib import import_module
from typing import Any


def available() -> dict[str, Any]:
    """Returns every command by name."""
    return {found.name: import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)}
