"""Where everything a run leaves behind lives: MLflow's database, artifacts, logs and checkpoints."""

import re
from dataclasses import dataclass
from pathlib import Path

from problems import InvalidValue
from tracking.problems import Wrong

EXPERIMENT = "convnet-arena"
REPOSITORY = Path(__file__).resolve().parents[1]

RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Layout:
    """A folder that holds runs, or what this machine adds to the runs of a tracking server.

    Attributes:
        root: The folder, made absolute; nothing has to exist until the store is opened.
        server: Address of an MLflow tracking server. Without one the records are in a database in `root`.
    """

    root: Path
    server: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).expanduser().absolute())

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
        """Return the file that gets what the job prints. Raises ValueError when `run_id` is not one."""
        return self.logs / f"{checked(run_id)}.log"

    def checkpoint_folder(self, run_id: str) -> Path:
        """Return the folder of a run's checkpoints. Raises ValueError when `run_id` is not one."""
        return self.checkpoints / checked(run_id)

    def config_file(self, run_id: str) -> Path:
        """Return the artifact `config.yaml` or a copy of it. Raises ValueError when `run_id` is not one."""
        return self.artifacts / checked(run_id) / "artifacts" / "config.yaml"


def checked(run_id: str) -> str:
    """Return `run_id` when it can be one, so that no path is ever built from anything else."""
    if not RUN_ID.fullmatch(run_id):
        raise InvalidValue(Wrong.NO_RUN_ID, text=run_id)
    return run_id
