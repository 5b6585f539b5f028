"""The output of jobs."""

from pathlib import Path

from tracking import runs
from tracking.store import Store

TAIL_BYTES = 256 * 1024


def read_log(store: Store, run_id: str, num_lines: int = 200) -> str:
    """Return the last lines that a job has printed, or one sentence saying why there are none.

    Progress bars rewrite their line; only the last state of each is returned.

    Raises:
        ValueError: There is no such run.
        StoreUnavailable: The store cannot be read.
    """
    run = runs.get_run(store, run_id)
    text = read_tail(store.log_file(run_id), num_lines)
    if text:
        return text
    if run.error:
        return f"The job has printed nothing. {run.error}"
    return f"The job {'is waiting' if run.status == 'SCHEDULED' else 'has printed nothing'}."


def read_tail(file: Path, num_lines: int) -> str:
    """Return the last lines of a text file, or an empty string if there is no file."""
    try:
        with file.open("rb") as log:
            log.seek(0, 2)
            size = log.tell()
            log.seek(max(0, size - TAIL_BYTES))
            data = log.read()
    except FileNotFoundError:
        return ""
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n").rstrip("\n")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(lines[-num_lines:])
