"""A store of runs, opened: its folders, MLflow's tables and the experiment are there."""

import os
import platform
import sqlite3
from contextlib import closing
from pathlib import Path
from secrets import token_hex

from filelock import FileLock

from tracking.client import client
from tracking.layout import EXPERIMENT, REPOSITORY, Layout
from tracking.problems import StoreUnavailable
from tracking.unavailable import reported


class Store(Layout):
    """A folder that holds runs, or what this machine adds to the runs that a tracking server holds.

    Attributes:
        root: The folder, made absolute; nothing has to exist until `open` is called.
        server: Address of an MLflow tracking server. Without one the records are in a database in `root`.
    """

    @classmethod
    def default(cls) -> "Store":
        """Return the folder of `ARENA_MLRUNS`, else `mlruns` here, and the server of `ARENA_TRACKING_URI`."""
        root = Path(os.environ.get("ARENA_MLRUNS") or REPOSITORY / "mlruns")
        return cls(root, os.environ.get("ARENA_TRACKING_URI", "").rstrip("/"))

    def open(self) -> "Store":
        """Make the store ready to use and return it.

        Creates the folders, MLflow's tables, the experiment, and switches the database to write-ahead
        logging. Safe when several processes do it at once; a matter of milliseconds when it was done before.

        Raises:
            StoreUnavailable: The folder cannot be written, the database is damaged or locked, or the server
                does not answer.
        """
        with reported(self):
            if self.server:
                self._open_server()
            elif not self._is_ready():
                self.root.mkdir(parents=True, exist_ok=True)
                with FileLock(self.root / "store.lock"):
                    self._create()
        return self

    def open_patiently(self) -> "Store":
        """As `open`, for what waits for a server that is away: only this machine's part has to be there.

        Raises:
            StoreUnavailable: There is no server, or the folder cannot be written.
        """
        try:
            return self.open()
        except StoreUnavailable:
            if not self.home:
                raise
            return self

    def _open_server(self) -> None:
        self._make_folders()
        with FileLock(self.root / "store.lock"):
            if not self.home:
                name = f"{platform.node()}:{self.root} ({token_hex(4)})"
                (self.root / "home").write_text(name, encoding="utf-8")
        mlflow = client(self)
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            try:
                mlflow.create_experiment(EXPERIMENT)  # the server knows where artifacts go
            except Exception:
                # Somebody else has made it in this moment, or else it is a failure.
                if mlflow.get_experiment_by_name(EXPERIMENT) is None:
                    raise

    def _make_folders(self) -> None:
        for folder in (self.artifacts, self.logs, self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)

    def _is_ready(self) -> bool:
        folders = (self.artifacts, self.logs, self.checkpoints)
        if not self.database.is_file() or not all(folder.is_dir() for folder in folders):
            return False
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchall():
                return False
            query = "SELECT artifact_location FROM experiments WHERE name = ?"
            locations = connection.execute(query, (EXPERIMENT,)).fetchall()
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return locations == [(str(self.artifacts),)] and mode == "wal"

    def _create(self) -> None:
        self._make_folders()
        # MLflow leaves SQLite's rollback journal on, where readers and writers wait for each other.
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        mlflow = client(self)
        experiment = mlflow.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=str(self.artifacts))
        elif experiment.artifact_location != str(self.artifacts):
            self._relocate(experiment.experiment_id)

    def _relocate(self, experiment_id: str) -> None:
        """Tell MLflow that the folder was moved or copied: it keeps absolute paths and cannot change them."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (str(self.artifacts), experiment_id),
            )
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || '/' || run_uuid || '/artifacts' WHERE experiment_id = ?",
                (str(self.artifacts), experiment_id),
            )
