"""Trains several times in a row in forked children, so that the imports, which take longest, are paid once.

Called as `python -m tests.training.attempts JSON` with a list of [arguments, environment]; prints how each
child ended, as `os.waitstatus_to_exitcode` says it.
"""

import json
import os
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow.store.tracking.sqlalchemy_store
import mlflow.tracking
import sklearn.datasets
from torchvision.transforms import v2

import tests.training.probe
from training.__main__ import main

PAID = (mlflow.store.tracking.sqlalchemy_store, mlflow.tracking, sklearn.datasets, v2, tests.training.probe)


def attempt(arguments: list[str], environment: dict[str, str]) -> int:
    child = os.fork()
    if not child:
        os.environ.update(environment)
        sys.argv = ["training", "fit", *arguments]
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    endings = [attempt(*one) for one in json.loads(sys.argv[1])]
    sys.stderr.write(json.dumps(endings) + "\n")
