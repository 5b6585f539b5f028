"""A supervisor as a process of its own, whose jobs are `job.py`."""

import sys
from pathlib import Path

from jobs.engines.local import LocalEngine
from jobs.supervisor import Supervisor
from tracking.store import Store

store = Store.default()
command = (sys.executable, str(Path(__file__).parent / "job.py"))
Supervisor(store, LocalEngine(store, ("cpu:0",), command), poll_interval_s=0.1).run()
