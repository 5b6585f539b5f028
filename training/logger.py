"""Lightning's logger, writing into the run that this process works on."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from training.session import Session


class RunLogger(Logger):
    """Hands each batch of metrics over before training goes on, so that a kill loses none.

    Lightning's own MLFlowLogger also decides the run's final status, which here belongs to Session alone.
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
        """Writes metrics at the session's step: Lightning's own is one behind when it validates."""
        self._session.spool.log_metrics(metrics, self._session.step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: submitting recorded the complete configuration already."""
