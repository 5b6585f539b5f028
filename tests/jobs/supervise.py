"""A supervisor in a separate process; its arguments are the script of its jobs and the number of slots."""

import sys

from jobs.engines.local import LocalEngine
from jobs.supervision.supervisor import Supervisor
from tracking.store import Store

store = Store.default()
job, num_slots = sys.argv[1:]
slots = tuple(f"cpu:{number}" for number in range(int(num_slots)))
engine = LocalEngine(store, slots, (sys.executable, job))
Supervisor(store, engine, ask_grace_s=60, poll_interval_s=0.05).run()
