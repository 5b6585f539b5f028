"""Many finished runs, written straight into MLflow's tables: its client would take minutes for a thousand."""

import sqlite3
from contextlib import closing
from secrets import token_hex

from tracking.store import Store

KEYS = ("train/loss", "train/error_top1", "val/loss", "val/error_top1", "val/error_top5")
ARCHITECTURES = ("resnet18", "vgg16", "alexnet", "googlenet")


def fill(store: Store, runs: int, points: int) -> list[str]:
    """Add finished runs with five metrics each and return their ids.

    Args:
        store: An opened store of this machine.
        runs: How many.
        points: Points of each metric.
    """
    run_ids = [token_hex(16) for _ in range(runs)]
    with closing(sqlite3.connect(store.database)) as connection, connection:
        ((experiment,),) = connection.execute(
            "SELECT experiment_id FROM experiments WHERE artifact_location = ?", (str(store.artifacts),)
        ).fetchall()
        for number, run_id in enumerate(run_ids):
            start = 1_700_000_000_000 + 1000 * number
            connection.execute(
                "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, "
                "lifecycle_stage, artifact_uri, experiment_id) "
                "VALUES (?, ?, 'LOCAL', 'FINISHED', ?, ?, 'active', ?, ?)",
                (
                    run_id,
                    f"run-{number}",
                    start,
                    start + 500,
                    f"{store.artifacts}/{run_id}/artifacts",
                    experiment,
                ),
            )
            params = {
                "model.architecture": ARCHITECTURES[number % len(ARCHITECTURES)],
                "model.recipe": "quick",
                "data.source": "digits",
                "data.image_size": 32,
                "trainer.max_epochs": 10,
                "seed_everything": number % 5,
                "steps_per_epoch": 100,
                "images_per_step": 32,
            }
            tags = {"job.submitted_at": start, "job.started_at": start}
            for table, items in (("params", params), ("tags", tags)):
                connection.executemany(
                    f"INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)",
                    [(run_id, key, str(value)) for key, value in items.items()],
                )
            for key in KEYS:
                values = [(run_id, key, 100 - step / 20, start + step, step) for step in range(points)]
                connection.executemany(
                    "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) "
                    "VALUES (?, ?, ?, ?, ?, 0)",
                    values,
                )
                connection.execute(
                    "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) "
                    "VALUES (?, ?, ?, ?, ?, 0)",
                    values[-1],
                )
    return run_ids
