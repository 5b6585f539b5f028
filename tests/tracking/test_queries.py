"""Reading one run never reads the others: the plans of SQLite, and what a read costs with more stored."""

import sqlite3
from contextlib import closing

import pytest

from tests.tracking.filling import fill
from tracking import comparison, database, runs, series
from tracking.store import Store


@pytest.fixture
def plans(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What SQLite does for each query from now on, as EXPLAIN QUERY PLAN puts it."""
    found: list[str] = []
    opened = database.open_for_reading

    class Explaining(sqlite3.Connection):
        def execute(self, query, values=()):
            if query.lstrip().startswith("SELECT"):
                found.extend(row[3] for row in super().execute(f"EXPLAIN QUERY PLAN {query}", values))
            return super().execute(query, values)

    def open_explaining(layout: Store) -> sqlite3.Connection:
        opened(layout).close()
        return sqlite3.connect(f"{layout.database.as_uri()}?mode=ro", uri=True, factory=Explaining)

    monkeypatch.setattr(database, "open_for_reading", open_explaining)
    return found


def test_no_query_scans_what_grows_with_all_runs(store: Store, plans: list[str]) -> None:
    (run_id, *_) = fill(store, runs=3, points=2)
    found = runs.list_runs(store)
    runs.list_runs(store, ["RUNNING"], params={"data.source": "digits"})
    runs.get_run(store, run_id)
    series.read_series(store, [run_id], ["val/loss"])
    series.metric_keys(store, [run_id])
    comparison.best_per_architecture(store)
    assert len(found) == 3 and len(plans) > 10
    # Every run of the experiment is a row that listing has to look at; the rest is searched by run.
    scans = [plan.split(" VIRTUAL")[0] for plan in plans if plan.startswith("SCAN")]
    assert set(scans) == {"SCAN r", "SCAN pragma_index_info"}
    points = [plan for plan in plans if plan.startswith("SEARCH metrics")]
    assert points and all("(run_uuid=? AND key=?)" in plan for plan in points)


@pytest.mark.parametrize("indexes", ["by run", "none"])
def test_without_the_index_it_still_works(store: Store, indexes: str) -> None:
    run_ids = fill(store, runs=2, points=3)
    expected = series.read_series(store, run_ids, ["val/loss"])
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute("DROP INDEX index_metrics_run_uuid_key_step")
        if indexes == "none":
            connection.execute("DROP INDEX index_metrics_run_uuid")
    found = series.read_series(store, run_ids, ["val/loss"])
    assert all((found[pair].values == expected[pair].values).all() for pair in expected)
    assert sum(map(len, found.values())) == 6


def count_steps(store: Store, run_id: str) -> int:
    """How many instructions SQLite's machine takes to read the history of one run; no clock is asked."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    with database.connected(store) as connection:
        query = database.points_query(connection)
        connection.set_progress_handler(count, 10)
        connection.execute(query, (run_id, "val/loss")).fetchall()
    return steps


def test_a_history_costs_the_same_with_ten_times_the_runs(store: Store) -> None:
    (run_id, *_) = fill(store, runs=5, points=20)
    before = count_steps(store, run_id)
    fill(store, runs=45, points=20)
    assert before > 5 and count_steps(store, run_id) <= 1.5 * before
