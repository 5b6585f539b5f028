"""Trains several times in a row in forked children, so that the imports, which take longest, are paid once.

Called as `python -m tests.training.attempts JSON` with a list of [arguments, environment]; prints how each
child ended, as `os.waitstatus_to_exitcode` says it. With WORLD_SIZE in its environment an attempt is as many
children, one for each rank, as Lightning would start them; it ended as its first did.
"""

import json
import os
import socket
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow.store.tracking.sqlalchemy_store
import mlflow.tracking
import torch._dynamo

import tests.training.probe
from training.__main__ import main

PAID = (mlflow.store.tracking.sqlalchemy_store, mlflow.tracking, torch._dynamo, tests.training.probe)


def attempt(arguments: list[str], environment: dict[str, str]) -> int:
    ranks = [{}]
    if size := int(environment.get("WORLD_SIZE", "0")):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        ranks = [meeting | {"LOCAL_RANK": str(rank), "NODE_RANK": "0"} for rank in range(size)]
    children = [start(arguments, environment | rank) for rank in ranks]
    first, *_ = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return first


def start(arguments: list[str], environment: dict[str, str]) -> int:
    child = os.fork()
    if not child:
        os.environ.update(environment)
        sys.argv = ["training", "fit", *arguments]
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return child


if __name__ == "__main__":
    endings = [attempt(*one) for one in json.loads(sys.argv[1])]
    sys.stderr.write(json.dumps(endings) + "\n")
