"""Handing jobs to sbatch: one alone, or those of a group that ask for the same as one array."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from jobs.engines.slurm_cluster import ClusterUnavailable, is_about_number, is_passing, last_words
from jobs.engines.slurm_options import SlurmOptions
from jobs.engines.slurm_task import SlurmTask
from jobs.problems import LaunchError
from tracking.groups import GROUP
from tracking.layout import REPOSITORY
from tracking.runs import Run
from tracking.store import Store

# Before the time limit, for saving the work; of a short limit, a quarter.
WARNING_S = 120
# Slurm may give its warning while Python starts, which knows what to do with it only later.
_PYTHON = f'sh -c \'trap "" USR2; exec "$0" "$@"\' {shlex.quote(sys.executable)}'
TASK = "task.pkl"
# As submitit calls a job.
_JOB_ID = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"

# The number of a cluster's job, or why there is none.
Outcome = str | LaunchError | ClusterUnavailable


@dataclass(frozen=True)
class Request:
    """What a run asks of the cluster.

    Attributes:
        run: The run.
        options: Of the cluster.
        num_tasks: Processes on each node.
    """

    run: Run
    options: SlurmOptions
    num_tasks: int

    @property
    def shared(self) -> tuple[object, ...]:
        """Those for which this is equal can be members of one array."""
        return self.run.tags.get(GROUP) or self.run.run_id, self.options, self.num_tasks


def hand_over(store: Store, command: Sequence[str], key: str, requests: Sequence[Request]) -> list[Outcome]:
    """Submit requests that share what they ask for, as one array where they are several.

    A cluster that allows no array of that size, or not so many jobs at once, gets them one by one, as many as
    it takes.

    Args:
        store: Where the runs are; the nodes see it under the same path.
        command: The training program; `--config FILE --run_id ID` is added.
        key: By which the cluster's jobs are found again, see `ticket_of`.
        requests: In the order of the queue.
    """
    try:
        if len(requests) > 1:
            return [*_sbatch(store, command, key, requests)]
    except (LaunchError, ClusterUnavailable) as problem:
        if not is_about_number(str(problem)):
            return [problem] * len(requests)
    outcomes: list[Outcome] = []
    for index, request in enumerate(requests):
        try:
            outcomes += _sbatch(store, command, ticket_of(key, index), [request])
        except LaunchError as refusal:
            outcomes.append(refusal)
        except ClusterUnavailable as problem:
            return outcomes + [problem] * (len(requests) - index)
    return outcomes


def ticket_of(key: str, index: int) -> str:
    """What tells the job of one request from all others, those of earlier submissions of its run as well."""
    return f"{key}_{index}"


def key_of(ticket: str) -> str:
    """The key of the submission that a ticket is from, empty where there is no ticket."""
    return ticket.rpartition("_")[0]


def is_under_way(store: Store, key: str) -> bool:
    """Whether an sbatch, which outlives whoever has started it, still hands over a part of a submission."""
    folder = str(folder_of(store, key))
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "sbatch" and any(word.startswith(folder) for word in process.cmdline()):
                return True
    return False


def folder_of(store: Store, comment: str) -> Path:
    """Where the files of a submission lie until all of its jobs have ended."""
    return store.root / "slurm" / comment


def _sbatch(store: Store, command: Sequence[str], comment: str, requests: Sequence[Request]) -> list[str]:
    from submitit import SlurmExecutor
    from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError

    folder = folder_of(store, comment)
    folder.mkdir(parents=True)
    log_files = [store.log_file(request.run.run_id) for request in requests]
    if len(requests) > 1:
        # A pattern of sbatch cannot tell the members' logs; it follows links.
        for index, log_file in enumerate(log_files):
            (folder / f"{index}.log").symlink_to(log_file)
    log_pattern = folder / "%a.log" if len(requests) > 1 else log_files[0]
    # Each member finds in it which run is its own, so that all have the same task.
    task = SlurmTask(tuple(command), store, tuple(request.run.run_id for request in requests))
    DelayedSubmission(task).dump(folder / TASK)
    executor = SlurmExecutor(folder, python=_PYTHON)
    settings = parameters(requests, comment, log_pattern, folder)
    executor.update_parameters(**settings)
    try:
        with _without_defaults(settings):
            return [str(job.job_id) for job in executor.submit_array([task] * len(requests))]
    except (FailedJobError, FailedSubmissionError) as error:
        message = last_words(str(error))
        shutil.rmtree(folder, ignore_errors=True)
        if is_passing(message):
            raise ClusterUnavailable(message) from error
        raise LaunchError(f"Slurm refuses the job: {message}.") from error


@contextmanager
def _without_defaults(settings: Mapping[str, Any]) -> Iterator[None]:
    """Hide variables which somebody has set as his defaults: sbatch lets them pass what the script says."""
    further = settings["additional_parameters"]
    names = {f"SBATCH_{option.upper().replace('-', '_')}" for option in [*settings, *further]}
    names |= {"SBATCH_ARRAY_INX", "SBATCH_NO_REQUEUE", "SBATCH_OPEN_MODE", "SBATCH_SIGNAL", "SBATCH_WAIT"}
    if "time" in further:
        names.add("SBATCH_TIMELIMIT")
    hidden = {name: os.environ.pop(name) for name in names & os.environ.keys()}
    try:
        yield
    finally:
        os.environ.update(hidden)


def parameters(requests: Sequence[Request], comment: str, log_pattern: Path, folder: Path) -> dict[str, Any]:
    """The settings of submitit for requests that share what they ask for.

    Args:
        requests: One, or the members of an array.
        comment: By which they are found again.
        log_pattern: Gets what all processes of a member print.
        folder: Of the submission.
    """
    run, options = requests[0].run, requests[0].options
    name = run.tags[GROUP] if len(requests) > 1 else run.name
    further = {
        **options.extra,
        "requeue": True,
        "chdir": str(REPOSITORY),
        "output": str(log_pattern),
        "error": str(log_pattern),
    }
    if options.time is not None:
        further["time"] = options.time
    if options.partition is not None:
        further["partition"] = options.partition
    if options.account is not None:
        further["account"] = options.account
    if options.gpus_per_node:
        further["gpus-per-node"] = options.gpus_per_node
    return {
        "job_name": re.sub(r"[^\w.-]", "-", name)[:64] or "convnet-arena",
        "comment": comment,
        "time": None,
        "nodes": options.nodes,
        "ntasks_per_node": requests[0].num_tasks,
        "array_parallelism": len(requests),
        "signal_delay_s": int(min(WARNING_S, options.limit_s / 4)),
        "additional_parameters": further,
        # Submitit names the task after the job once sbatch has told the number; it may be killed before.
        "setup": [f"cp {shlex.quote(str(folder / TASK))} {shlex.quote(str(folder))}/{_JOB_ID}_submitted.pkl"],
        # A task that fails ends the others, which would wait for it.
        "srun_args": [
            f"--output={log_pattern}",
            f"--error={log_pattern}",
            "--open-mode=append",
            "--kill-on-bad-exit=1",
            # Since Slurm 22.05 a step does not take it from its job.
            *(f"--cpus-per-task={number}" for number in [options.extra.get("cpus-per-task")] if number),
        ],
    }
