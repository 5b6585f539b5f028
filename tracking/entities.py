"""What the database and MLflow's client both give: runs and points of metrics as MLflow keeps them."""

from typing import NamedTuple

ACTIVE_STATUSES = ("SCHEDULED", "RUNNING")
TERMINAL_STATUSES = ("FINISHED", "FAILED", "KILLED")
# The tag with the folder, on which machine, that a run was submitted to.
HOME = "job.home"

Point = tuple[int, float, int]  # step, value, unix milliseconds


class Record(NamedTuple):
    """A run as MLflow keeps it, times in unix milliseconds."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    start_time: int
    end_time: int | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, Point]
