"""Where everything a run leaves behind lives: MLflow's database, artifacts, logs and checkpoints."""

import errno
import os
import platform
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from filelock import FileLock

EXPERIMENT = "convnet-arena"
REPOSITORY = Path(__file__).resolve().parents[1]

RUN_ID = re.compile(r"[0-9a-f]{32}")

# HTTP statuses of a server, or of what is before it, that say nothing about the request itself.
RETRIED = frozenset({401, 403, 408, 429, *range(500, 600)})


class StoreUnavailable(Exception):
    """The store cannot be read or written; the message says why and what to do."""


@dataclass(frozen=True)
class Store:
    """A folder that holds runs, or what this machine adds to the runs that a tracking server holds.

    Attributes:
        root: The folder, made absolute; nothing has to exist until `open` is called.
        server: Address of an MLflow tracking server. Without one the records are in a database in `root`.
    """

    root: Path
    server: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).expanduser().absolute())

    @classmethod
    def default(cls) -> "Store":
        """The folder of `ARENA_MLRUNS`, else `mlruns` here, and the server of `ARENA_TRACKING_URI`."""
        root = Path(os.environ.get("ARENA_MLRUNS") or REPOSITORY / "mlruns")
        return cls(root, os.environ.get("ARENA_TRACKING_URI", "").rstrip("/"))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find this very store by `default`."""
        return {"ARENA_MLRUNS": str(self.root), "ARENA_TRACKING_URI": self.server}

    @property
    def home(self) -> str:
        """Tells this folder from those of the others that use the same server, empty before it was opened.

        Made once: machines are renamed, folders are moved, and two may have the same name.
        """
        file = self.root / "home"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @property
    def database(self) -> Path:
        """The SQLite file that MLflow writes."""
        return self.root / "mlflow.db"

    @property
    def uri(self) -> str:
        """MLflow's tracking URI."""
        return self.server or f"sqlite:///{self.database}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts, one folder a run."""
        return self.root / "artifacts"

    @property
    def logs(self) -> Path:
        """One text file a job, and one for each background process."""
        return self.root / "logs"

    @property
    def checkpoints(self) -> Path:
        """One folder a run."""
        return self.root / "checkpoints"

    @property
    def spool(self) -> Path:
        """What has not been delivered yet, one file a run."""
        return self.root / "spool"

    def log_file(self, run_id: str) -> Path:
        """The file that gets what the job prints. Raises ValueError when `run_id` is not one."""
        return self.logs / f"{checked(run_id)}.log"

    def checkpoint_folder(self, run_id: str) -> Path:
        """The folder of a run's checkpoints. Raises ValueError when `run_id` is not one."""
        return self.checkpoints / checked(run_id)

    def config_file(self, run_id: str) -> Path:
        """The run's artifact `config.yaml`, or a copy of it. Raises ValueError when `run_id` is not one."""
        return self.artifacts / checked(run_id) / "artifacts" / "config.yaml"

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
        from tracking.client import client

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
        from tracking.client import client

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


def checked(run_id: str) -> str:
    """Return `run_id` when it can be one, so that no path is ever built from anything else."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id!r} is not a run id: MLflow's are 32 hexadecimal digits.")
    return run_id


@contextmanager
def reported(store: Store) -> Iterator[None]:
    """Turn what the file system, SQLite or the way to a server says into one sentence.

    Raises:
        StoreUnavailable: In place of any OSError or sqlite3.Error, also one that MLflow has wrapped, and of a
            server's answer that asking again later may change.
    """
    try:
        yield
    except Exception as error:
        cause = _root_cause(error)
        if cause is None and store.server and server_status(error) in RETRIED:
            cause = error
        if cause is None:
            raise
        raise StoreUnavailable(_explain(store, cause)) from error


def _root_cause(error: BaseException) -> BaseException | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | sqlite3.Error):
            return seen
        seen = seen.__cause__ or seen.__context__
    # MLflow refuses a database of another version in words of its own, without a cause.
    return error if "database schema" in str(error) else None


def server_status(error: BaseException) -> int | None:
    """The HTTP status of what MLflow raised, None where it has none."""
    status = getattr(error, "get_http_status_code", None)
    return status() if status else None


def _explain_server(server: str, cause: BaseException) -> str:
    if not server.startswith(("http://", "https://")):
        return f"ARENA_TRACKING_URI is {server!r}; it must begin with http:// or https://."
    status = server_status(cause)
    if status in (401, 403):
        return (
            f"The tracking server {server} refuses access; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    what = f"cannot work now (HTTP status {status})" if status else "does not answer"
    return (
        f"The tracking server {server} {what}. Jobs that train go on and deliver what they record later; "
        "see whether it runs and whether ARENA_TRACKING_URI is right."
    )


def _explain(store: Store, cause: BaseException) -> str:
    text = str(cause)
    # The file system's errors have a number, those of the way to a server are wrapped.
    if store.server and getattr(cause, "errno", None) is None:
        return _explain_server(store.server, cause)
    where = store.database
    elsewhere = "or name another folder in ARENA_MLRUNS"
    if "locked" in text or "busy" in text:
        return f"The MLflow database {where} is locked by another program; try again when it has finished."
    if "not a database" in text or "malformed" in text:
        return f"{where} is not a readable database ({text}); restore a copy or move it away to start afresh."
    if "disk is full" in text or (isinstance(cause, OSError) and cause.errno == errno.ENOSPC):
        return f"The disk that holds {store.root} is full; free some space."
    if "readonly" in text or isinstance(cause, PermissionError) or "Read-only" in text:
        return f"{store.root} cannot be written; make it writable {elsewhere}."
    if isinstance(cause, FileExistsError | NotADirectoryError):
        return f"{store.root} is not a folder; move that file away {elsewhere}."
    if "database schema" in text:
        return f"{where} is of another MLflow version; back it up, then run 'mlflow db upgrade {store.uri}'."
    if not where.exists():
        return f"There is no MLflow database at {where}; `make run` or `python -m jobs submit` creates it."
    if os.geteuid() and not os.access(where, os.R_OK):
        return f"{where} cannot be read; make it readable {elsewhere}."
    return f"The MLflow database {where} cannot be used: {text}."
