"""Stands in for the training process: does what `behaviour` in its configuration says."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import yaml

from tracking import records, runs
from tracking.store import Store

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path)
parser.add_argument("--run_id")
arguments = parser.parse_args()
config = yaml.safe_load(arguments.config.read_text())
store, run_id = Store.default(), arguments.run_id
restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def leave(*_: object) -> None:
    records.set_status(store, run_id, "SCHEDULED")
    sys.exit(130)


records.set_tags(store, run_id, {"job.cluster_restarts": str(restarts)})
records.set_status(store, run_id, "RUNNING")
match config["behaviour"]:
    case "finish":
        say("worked on", os.environ["SLURMD_NODENAME"])
        records.set_status(store, run_id, "FINISHED")
    case "exit":
        sys.exit(config["code"])
    case "second time":  # works until it is ended, and finishes when it was put back
        say("time", restarts + 1, "on", os.environ["SLURMD_NODENAME"])
        if restarts:
            records.set_status(store, run_id, "FINISHED")
            sys.exit(0)
        for step in range(1, config.get("steps", 0) + 1):
            records.log_metrics(store, run_id, {"train/loss": 1.0}, step)
        if config.get("polite"):  # as the training leaves when it has saved
            signal.signal(signal.SIGTERM, leave)
        say("sleeping")
        time.sleep(600)
    case "ask":
        say("listening")
        while runs.get_run(store, run_id).tags.get("job.request") != "stop":
            time.sleep(0.1)
        records.set_status(store, run_id, "KILLED")
        sys.exit(130)
    case "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("deaf")
        time.sleep(600)
