"""A substitute for the training process, controlled by `behaviour` in its configuration."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tracking import records, runs
from tracking.store import Store

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path)
parser.add_argument("--run_id")
arguments, _ = parser.parse_known_args()
config = yaml.safe_load(arguments.config.read_text())
store, run_id = Store.default(), arguments.run_id

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


match config["behaviour"]:
    case "go on":
        folder = store.checkpoint_folder(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        records.set_status(store, run_id, "RUNNING")
        say("had", [file.name for file in folder.iterdir()])
        if any(folder.iterdir()):
            records.set_status(store, run_id, "FINISHED")
            sys.exit(0)
        (folder / "last.ckpt").touch()
        if config.get("seconds"):
            say("trains")
            time.sleep(config["seconds"])
        sys.exit(1)
    case "die":
        folder = store.checkpoint_folder(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        lives = store.log_file(run_id).read_text().count("$ ")
        say("life", lives)
        if lives > config["lives"]:
            records.set_status(store, run_id, "FINISHED")
            sys.exit(0)
        if config["saves"]:
            (folder / "last.ckpt").write_text(str(lives))
        os.kill(os.getpid(), signal.SIGKILL)
    case "finish":
        records.set_status(store, run_id, "RUNNING")
        say("began", time.time(), os.environ.get("CUDA_VISIBLE_DEVICES"))
        time.sleep(config.get("seconds", 0))
        say("ended", time.time())
        records.set_status(store, run_id, "FINISHED")
    case "linger":
        records.set_status(store, run_id, "FINISHED")
        say("finished")
        time.sleep(600)
    case "exit":
        sys.exit(config["code"])
    case "sleep":
        say("sleeping")
        time.sleep(600)
    case "ask":
        say("listening")
        while runs.get_run(store, run_id).tags.get("job.request") != "stop":
            time.sleep(0.05)
        records.set_status(store, run_id, "KILLED")
    case "polite":
        signal.signal(signal.SIGTERM, lambda *_: (say("got SIGTERM"), sys.exit(0)))
        say("waiting")
        time.sleep(600)
    case "stubborn":
        signal.signal(signal.SIGTERM, lambda *_: say("ignored SIGTERM"))
        family = [
            subprocess.Popen(
                [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=apart
            )
            for apart in (False, True)
        ]
        for member in family:
            member.stdout.readline()
        say("family", os.getpid(), *(member.pid for member in family))
        while True:
            time.sleep(1)
    case "orphan":
        member = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
        member.stdout.readline()
        say("family", os.getpid(), member.pid)
        os._exit(3)
