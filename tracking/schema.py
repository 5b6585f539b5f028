"""Which version of MLflow's tables a database has."""

import sqlite3
from contextlib import closing

from tracking.layout import Layout

# Those whose tables were compared with what MLflow's client returns (see tests/tracking).
KNOWN_REVISIONS = {"dc11669786a5"}  # mlflow 3.17.2
BUSY_TIMEOUT_S = 5.0


def open_for_reading(store: Layout) -> sqlite3.Connection:
    """Open the database for reading alone."""
    return sqlite3.connect(f"{store.database.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)


def read_revisions(store: Layout) -> set[str]:
    """Read the database's versions, which is one unless something went wrong.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    with closing(open_for_reading(store)) as connection:
        return {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")}


def is_known(store: Layout) -> bool:
    """Whether the tables are laid out as this version expects. Raises as `read_revisions`."""
    return read_revisions(store) <= KNOWN_REVISIONS
