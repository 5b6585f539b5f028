"""The number of processor cores for this process: a cluster or a supervisor may grant only some of them."""

import os

# Set by a supervisor that runs several jobs at once: the number of cores for this one.
VARIABLE = "ARENA_CORES"


def count_cores() -> int:
    """Return how many cores this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    share = os.environ.get(VARIABLE, "")
    return max(1, min(cores, int(share))) if share.isdecimal() else cores


def cores_of_each(processes: int) -> int:
    """Return the number of cores for each process that trains on this machine; at least one.

    Slurm sets it for each process.
    """
    of_task = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if "SLURM_PROCID" in os.environ and of_task.isdecimal():
        return max(1, min(count_cores(), int(of_task)))
    return max(1, count_cores() // max(1, processes))
