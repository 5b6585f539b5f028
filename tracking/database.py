"""Reading MLflow's SQLite database directly: far faster than its client, and without importing MLflow."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from tracking.entities import Point, Record
from tracking.layout import EXPERIMENT, Layout
from tracking.schema import open_for_reading
from tracking.unavailable import reported

ACTIVE = f"""
    FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
    WHERE e.name = '{EXPERIMENT}' AND r.lifecycle_stage = 'active'
"""


@contextmanager
def connected(store: Layout) -> Iterator[sqlite3.Connection]:
    """Return a read-only connection that sees one state of the database.

    Raises:
        StoreUnavailable: The database is missing, damaged or locked.
    """
    with reported(store), closing(open_for_reading(store)) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN")
        yield connection


def read_runs(
    store: Layout,
    statuses: Sequence[str] | None = None,
    run_id: str | None = None,
    params: Mapping[str, str] | None = None,
) -> list[Record]:
    """Return the runs of our experiment that were not deleted.

    Args:
        store: Where to look.
        statuses: Only those in one of these statuses.
        run_id: Only this one.
        params: Only those of which these params have these values.
    """
    where, values = ACTIVE, list(statuses or ())
    if statuses is not None:
        where += f" AND r.status IN ({', '.join('?' * len(statuses))})"
    if run_id is not None:
        where += " AND r.run_uuid = ?"
        values.append(run_id)
    for item in (params or {}).items():
        where += (
            " AND EXISTS (SELECT 1 FROM params p WHERE p.run_uuid = r.run_uuid AND p.key = ? AND p.value = ?)"
        )
        values += item
    chosen = f"run_uuid IN (SELECT r.run_uuid {where})"

    found_params: dict[str, dict[str, str]] = defaultdict(dict)
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, Point]] = defaultdict(dict)
    with connected(store) as connection:
        runs = connection.execute(
            "SELECT r.run_uuid, r.experiment_id, r.name, r.status, r.start_time, r.end_time" + where, values
        ).fetchall()
        for table, target in (("params", found_params), ("tags", tags)):
            rows = connection.execute(f"SELECT run_uuid, key, value FROM {table} WHERE {chosen}", values)
            for owner, key, value in rows:
                target[owner][key] = value
        latest = "SELECT run_uuid, key, step, value, timestamp, is_nan FROM latest_metrics"
        for owner, key, step, value, time, is_nan in connection.execute(f"{latest} WHERE {chosen}", values):
            metrics[owner][key] = (step, float("nan") if is_nan else value, time)
    return [
        Record(
            run, str(experiment), name or "", status, start, end, found_params[run], tags[run], metrics[run]
        )
        for run, experiment, name, status, start, end in runs
    ]


def read_points(store: Layout, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Point]]:
    """Read everything logged for each (run id, metric), in the order it was written."""
    with connected(store) as connection:
        query = points_query(connection)
        return {pair: connection.execute(query, pair).fetchall() for pair in pairs}


def points_query(connection: sqlite3.Connection) -> str:
    """Return the query for the points of a run id and a metric.

    SQLite by itself prefers the primary key, which starts with the name of the metric, and then reads the
    points of every run. The index by run and name is therefore named; where a database has none, the unary
    plus leaves only an index by run.
    """
    # SQLite has no NaN: MLflow stores 0 and marks it.
    columns = "SELECT step, CASE WHEN is_nan THEN NULL ELSE value END, timestamp FROM metrics"
    for _, index, *_ in connection.execute("PRAGMA index_list(metrics)").fetchall():
        indexed = connection.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchmany(2)
        if indexed == [("run_uuid",), ("key",)]:
            return f'{columns} INDEXED BY "{index}" WHERE run_uuid = ? AND key = ? ORDER BY rowid'
    return f"{columns} WHERE run_uuid = ? AND +key = ? ORDER BY rowid"


def read_tags(store: Layout, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read the tags of some runs."""
    query = "SELECT key, value FROM tags WHERE run_uuid = ?"
    with connected(store) as connection:
        return {run_id: dict(connection.execute(query, (run_id,)).fetchall()) for run_id in run_ids}


def read_keys(store: Layout, run_ids: Sequence[str]) -> set[str]:
    """Return the metrics that any of the runs has."""
    query = "SELECT key FROM latest_metrics WHERE run_uuid = ?"
    with connected(store) as connection:
        return {key for run_id in run_ids for (key,) in connection.execute(query, (run_id,))}
