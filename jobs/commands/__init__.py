"""What `python -m jobs` can do: one file a command, found by its name.

Each file has `HELP` (one line), `add_arguments(parser)` and `run(store, options)`. The latter raises
LaunchError, StoreUnavailable or ValueError for what a user can put right; the message is all that is
printed then.
"""

import pkgutil
from importlib import import_module
from typing import Any


def available() -> dict[str, Any]:
    """Every command by name."""
    return {found.name: import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)}
