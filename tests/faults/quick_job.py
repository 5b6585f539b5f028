"""A very short job: records its start and end, and writes its status without slow imports."""

import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

run_id, root = sys.argv[-1], Path(os.environ["ARENA_MLRUNS"])
began = time.time()
time.sleep(0.05)
with (root / "lives.txt").open("a", encoding="ascii") as lives:
    lives.write(f"{run_id} {began} {time.time()}\n")
with closing(sqlite3.connect(root / "mlflow.db", timeout=30)) as database, database:
    end = (int(time.time() * 1000), run_id)
    database.execute("UPDATE runs SET status = 'FINISHED', end_time = ? WHERE run_uuid = ?", end)
