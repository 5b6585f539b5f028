"""A logger for Lightning that writes to the run of this process."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from training.session import Session


class RunLogger(Logger):
    """A logger that stores metrics before training continues, so that none are lost if the process is killed.

    Lightning's own MLFlowLogger would also set the run's final status, which here only `Session` does.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "mlflow"

    @property
    def version(self) -> str:
        """The run's id."""
        return self._session.run_id

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics at the session's step: Lightning's own is one less in a validation."""
        self._session.spool.log_metrics(metrics, self._session.step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the complete configuration was recorded by the submission."""
