"""Training of one run, ``python -m training fit --config run.yaml``, and ``export`` of its weights."""

import training.lightning  # noqa: F401

# isort: split

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from command_line import Parser, answer, underscored
from tracking.problems import StoreUnavailable
from tracking.store import Store
from training.callbacks.stopping import leave_on_sigterm
from training.cli import ArenaCLI
from training.export import export
from training.failures import EXPLAINED, describe, misses_a_peer
from training.hardware import keep_freed_memory
from training.problems import StopRequested
from training.ranks import Ranks
from training.session import FAILED, STOPPED, WRONG, Session, is_first

# Warnings for people who write training loops, which are of no use to people who start runs.
_HINTS = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*smaller than the logging interval.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*sync_dist=True.*when logging on epoch level.*",  # torchmetrics has already synchronised
    ".*`srun` command is available on your system.*",  # the login node of a cluster can train, too
)
_ADVERTISEMENTS = ("litlogger", "LitLogger", "litmodels", "weights_only", "TPU available")


def main() -> int:
    """Run the command line, record how the run ended, and return the exit code."""
    if sys.argv[1:2] == ["export"]:
        return _export(sys.argv[2:])
    sys.argv[1:] = underscored(sys.argv[1:])
    keep_freed_memory()
    for hint in _HINTS:
        warnings.filterwarnings("ignore", message=hint)
    for handler in logging.getLogger("pytorch_lightning").handlers:
        handler.addFilter(_is_for_users)
    session = Session(Store.default())
    ranks = Ranks(session)
    ranks.take_over()
    leave_on_sigterm(session, ranks.end)
    code = _train(session, ranks)
    ranks.leave()
    if code and torch.distributed.is_initialized():
        leave_at_once(code, ranks)
    return code


def leave_at_once(code: int, ranks: Ranks) -> NoReturn:
    """End a process of several at once, after its record is written.

    A normal exit would close PyTorch's connections, and NCCL would wait up to half an hour for processes that
    may be stuck or gone.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ranks.end()
    os._exit(code)


def _train(session: Session, ranks: Ranks) -> int:
    try:
        ArenaCLI(session)
    except (StopRequested, SIGTERMException, KeyboardInterrupt) as stop:
        session.stop()
        return _report(str(stop) or "Stopped.", STOPPED)
    except EXPLAINED as error:
        sentence, tags = describe(error, session.batch_size)
        session.fail(sentence, tags)
        return _report(sentence, WRONG)
    except SystemExit as leaving:
        # Lightning exits this way after Ctrl-C; for an invalid command line there is no run yet.
        session.stop()
        return leaving.code if isinstance(leaving.code, int) else FAILED
    except BaseException as error:
        traceback.print_exc()
        return _report(_fail(error, session, ranks), FAILED)
    session.finish()
    return 0


def _fail(error: BaseException, session: Session, ranks: Ranks) -> str:
    sentence, tags = describe(error, session.batch_size)
    if misses_a_peer(error):
        ranks.wait_for_lost()
        if not is_first():
            return sentence
        if found := session.rank_error():
            sentence, tags = found, {}  # that process has set the tags
    session.fail(sentence, tags)
    return sentence


def _export(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="python -m training export",
        description="Write a run's weights under the names of the same network in torchvision or timm.",
    )
    parser.add_argument(
        "weights", metavar="RUN", help="name or beginning of the id of a run, or a checkpoint file"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="such as resnet18.pth")
    options = parser.parse_args(arguments)
    return answer(
        lambda: print(export(Store.default(), options.weights, options.output)),
        (ValueError, StoreUnavailable),
    )


def _is_for_users(record: logging.LogRecord) -> bool:
    return not any(word in record.getMessage() for word in _ADVERTISEMENTS)


@rank_zero_only
def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _report(sentence: str, code: int) -> int:
    _say(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main())
