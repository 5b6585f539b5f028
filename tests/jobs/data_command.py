"""A substitute for `python -m datamodules`: counts to a hundred and ends as its argument demands."""

import signal
import sys
import time
from pathlib import Path

from datamodules.problems import DataError
from datamodules.progress import Progress

behaviour, _, file = sys.argv[1:]
signal.signal(signal.SIGTERM, signal.default_int_handler)
if behaviour == "refuse":
    sys.exit("There is no folder /nowhere.")
if behaviour == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    with Progress(Path(file)) as progress:
        progress.begin("Counting", 100, "images")
        for _ in range(100):
            progress.advance()
            if behaviour in ("slow", "deaf"):
                time.sleep(0.5)
        if behaviour == "fail":
            raise DataError("Half of the images are missing.")
except (DataError, KeyboardInterrupt):
    sys.exit(2)
