"""Handing jobs to sbatch: one alone, or those of a group that ask for the same as one array."""

import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from jobs.engines.slurm_cluster import ClusterUnavailable, ask, is_about_number, is_passing
from jobs.engines.slurm_options import SlurmOptions
from jobs.problems import Cluster, LaunchError
from tracking.groups import GROUP
from tracking.layout import REPOSITORY
from tracking.runs import Run
from tracking.store import Store

# The time for saving before the time limit; for short limits, a quarter of the limit.
WARNING_S = 120

# The number of the cluster's job, or the reason why there is none.
Outcome = str | LaunchError | ClusterUnavailable


@dataclass(frozen=True)
class Request:
    """The resources that a run requests from the cluster.

    Attributes:
        run: The run.
        options: The options of the cluster.
        num_tasks: The number of processes per node.
    """

    run: Run
    options: SlurmOptions
    num_tasks: int

    @property
    def shared(self) -> tuple[object, ...]:
        """What requests must have in common to be members of one array."""
        return self.run.tags.get(GROUP) or self.run.run_id, self.options, self.num_tasks


def hand_over(
    store: Store, command: Sequence[str], key: str, requests: Sequence[Request]
) -> dict[str, Outcome]:
    """Submit requests for the same resources, as one array if there are several.

    If the cluster does not allow an array of that size, or so many jobs at once, they are submitted one by
    one, as many as it accepts.

    Args:
        store: The store with the runs, which has the same path on all nodes.
        command: The training program; `--config FILE --run_id ID` is added.
        key: The key that identifies the jobs on the cluster, see `ticket_of`.
        requests: In the order of the queue.

    Returns:
        The job's number, or the error, by run id.
    """
    run_ids = [request.run.run_id for request in requests]
    try:
        if len(requests) > 1:
            return dict(zip(run_ids, _sbatch(store, command, key, requests), strict=True))
    except (LaunchError, ClusterUnavailable) as problem:
        if not is_about_number(str(problem.values.get("said", ""))):
            return dict.fromkeys(run_ids, problem)
    outcomes: dict[str, Outcome] = {}
    for index, (run_id, request) in enumerate(zip(run_ids, requests, strict=True)):
        try:
            (outcomes[run_id],) = _sbatch(store, command, ticket_of(key, index), [request])
        except LaunchError as refusal:
            outcomes[run_id] = refusal
        except ClusterUnavailable as problem:
            return {**dict.fromkeys(run_ids, problem), **outcomes}
    return outcomes


def ticket_of(key: str, index: int) -> str:
    """Return the unique name of the job of one request, different for each submission of a run."""
    return f"{key}_{index}"


def key_of(ticket: str) -> str:
    """Return the key of the submission that a ticket belongs to, empty without a ticket."""
    return ticket.rpartition("_")[0]


def is_under_way(key: str) -> bool:
    """Return whether an sbatch process is still submitting; it outlives the process that started it."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "sbatch" and any(key in word for word in process.cmdline()):
                return True
    return False


def _sbatch(store: Store, command: Sequence[str], comment: str, requests: Sequence[Request]) -> list[str]:
    script = _script(store, command, [request.run.run_id for request in requests], requests[0].options)
    try:
        # Without a timeout: an interrupted sbatch may have submitted the job nevertheless.
        answer = ask("sbatch", *_options(comment, requests), given=script, timeout_s=None)
    except ClusterUnavailable as problem:
        if is_passing(problem.said):
            raise
        raise LaunchError(Cluster.REJECTED, said=problem.said or problem) from problem
    job_id = answer.strip().partition(";")[0]  # the name of the cluster may follow
    return [f"{job_id}_{index}" for index in range(len(requests))] if len(requests) > 1 else [job_id]


def _options(comment: str, requests: Sequence[Request]) -> list[str]:
    """Return the options of sbatch. On its command line, they override users' defaults (`SBATCH_...`).

    The script itself redirects the output into the log: sbatch takes a file name as a pattern, which can
    express neither the log files of an array's members nor every path.
    """
    run, options = requests[0].run, requests[0].options
    is_array = len(requests) > 1
    name = run.tags[GROUP] if is_array else run.name
    asked = {
        **options.extra,
        "account": options.account,
        "array": f"0-{len(requests) - 1}" if is_array else None,
        "chdir": REPOSITORY,
        "comment": comment,
        "error": "/dev/null",
        "gpus-per-node": options.gpus_per_node or None,
        "job-name": re.sub(r"[^\w.-]", "-", name)[:64] or "convnet-arena",
        "nodes": options.nodes,
        "ntasks-per-node": requests[0].num_tasks,
        "output": "/dev/null",
        "partition": options.partition,
        "signal": f"USR2@{int(min(WARNING_S, options.limit_s / 4))}",
        "time": options.time,
    }
    given = [f"--{name}={value}" for name, value in asked.items() if value is not None]
    return ["--parsable", "--requeue", *given]


def _script(store: Store, command: Sequence[str], run_ids: Sequence[str], options: SlurmOptions) -> str:
    """Return the batch script, in which a member of an array selects its run by its index."""
    environment = {**store.environment, "PYTHONUNBUFFERED": "1"}
    # A task that fails ends the others, which would wait for it forever.
    srun = ["srun", "--export=ALL", "--kill-on-bad-exit=1"]
    if number := options.extra.get("cpus-per-task"):
        srun.append(f"--cpus-per-task={number}")  # since Slurm 22.05, steps do not inherit it
    # Slurm may send the signal while Python starts, before there is a handler.
    ignoring = ["sh", "-c", 'trap "" USR2; exec "$0" "$@"']
    task = [sys.executable, "-m", "jobs.engines.slurm_task"]
    return f"""#!/bin/sh
export {shlex.join(f"{name}={value}" for name, value in environment.items())}
set -- {shlex.join(run_ids)}
shift "${{SLURM_ARRAY_TASK_ID:-0}}"
exec >>{shlex.quote(str(store.logs))}/"$1.log" 2>&1
{shlex.join([*srun, *ignoring, *task])} "$1" {shlex.join(command)}
"""
