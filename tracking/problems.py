"""What can be wrong with a store or with what is asked of it."""

from enum import unique

from problems import Code, Problem


@unique
class Unavailable(Code):
    """Why a store cannot be used."""

    MISSING = "There is no MLflow database at {database}; `make run` or `python -m jobs submit` creates it."
    LOCKED = "The MLflow database {database} is locked by another program; try again when it has finished."
    DAMAGED = (
        "{database} is not a readable database ({said}); restore a copy, or move it away to begin with an "
        "empty one."
    )
    OTHER_VERSION = (
        "{database} is of another MLflow version; back it up, then run 'mlflow db upgrade {address}'."
    )
    UNREADABLE = "{database} cannot be read; make it readable or name another folder in ARENA_MLRUNS."
    UNUSABLE = "The MLflow database {database} cannot be used: {said}."
    FULL = "The disk that holds {root} is full; free some space."
    READ_ONLY = "{root} cannot be written; make it writable or name another folder in ARENA_MLRUNS."
    NOT_A_FOLDER = "{root} is not a folder; move that file away or name another folder in ARENA_MLRUNS."
    BAD_ADDRESS = "ARENA_TRACKING_URI is {server!r}; it must begin with http:// or https://."
    REFUSED = (
        "The tracking server {server} refuses access; set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
    )
    SERVER_FAILS = (
        "The tracking server {server} cannot work now (HTTP status {status}). Running jobs continue and "
        "deliver what they record later; check whether the server runs and ARENA_TRACKING_URI is right."
    )
    NO_ANSWER = (
        "The tracking server {server} does not answer. Running jobs continue and deliver what they record "
        "later; check whether the server runs and ARENA_TRACKING_URI is right."
    )


class StoreUnavailable(Problem):
    """The store cannot be read or written."""


@unique
class Wrong(Code):
    """What cannot be meant."""

    NO_RUN = "There is no run {run_id!r}; it may have been deleted."
    NO_SUCH_NAME = "No run has the name or an id that begins with {name!r}."
    AMBIGUOUS_NAME = "{name!r} matches {number} runs: {run_ids}."
    NO_CONFIG = "Run {run_id} has no config.yaml."
    NO_RUN_ID = "{text!r} is not a run id: MLflow's are 32 hexadecimal digits."
    NO_AXIS = "There is no axis {axis!r}; there are {axes}."
    NOT_OPEN = "{root} is not set up; call Store.open() first."
