"""What a Slurm cluster is asked, through its own commands; no shell sees what they are given."""

import os
import subprocess
from dataclasses import dataclass

TIMEOUT_S = 60.0
# squeue's own names.
_FIELDS = ("JobArrayID", "State", "Comment", "Reason", "exit_code", "RestartCnt", "NodeList")
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
)  # fmt: skip
# Of its own words, those that say that asking again later may help.
_PASSING = (
    "unable to contact", "connection", "timed out", "zero bytes", "authentication", "munge", "temporarily",
    "submit limit", "maxsubmit", "slurm backup controller", "service unavailable",
)  # fmt: skip
# And those that fewer jobs may be an answer to.
_NUMBER = ("limit", "array")
# How to reach the cluster, and that a program is within a job at all.
_LASTING = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_JOB_ID")
# The users' defaults for sbatch that none of its options can override.
_IRREVOCABLE = ("SBATCH_ARRAY_INX", "SBATCH_WAIT")


class ClusterUnavailable(Exception):
    """The cluster does not answer, or takes nothing at the moment; the message says what it said."""


@dataclass(frozen=True)
class ClusterJob:
    """One job as the cluster knows it.

    Attributes:
        job_id: Of a member of an array with its index, as in `7_0`.
        state: Slurm's word for it.
        comment: What it was submitted with; all members of an array have the same.
        reason: Why it waits.
        exit_code: Of `srun`, which takes it from the first task that failed; negative: the signal.
        restarts: How often it was put back into the queue.
        nodes: Where it runs, in Slurm's notation.
    """

    job_id: str
    state: str
    comment: str
    reason: str
    exit_code: int
    restarts: int
    nodes: str

    @property
    def ticket(self) -> str:
        """What tells it from all other jobs, see `jobs.engines.slurm_submission.ticket_of`."""
        _, _, index = self.job_id.partition("_")
        return f"{self.comment}_{index}" if index else self.comment

    @property
    def is_waiting(self) -> bool:
        """Whether it has no nodes yet, or no more."""
        return self.state in _WAITING

    @property
    def has_ended(self) -> bool:
        """Whether it never runs again."""
        return self.state in _ENDED


def forget_wishes() -> None:
    """Remove what a Slurm job tells this process, should it be in one: those it starts are no part of that.

    A training on several devices would take itself for one of the processes that Slurm has started, and jobs
    that are handed over would ask for what this one did.
    """
    for name in [*os.environ]:
        of_job = name.startswith(("SLURM_", "SRUN_")) and name not in _LASTING
        if of_job or name in _IRREVOCABLE:
            del os.environ[name]


def list_jobs() -> list[ClusterJob]:
    """Every job of this user that waits, runs, or has ended lately.

    Raises:
        ClusterUnavailable: The cluster does not answer.
    """
    wanted = ",".join(f"{field}:|" for field in _FIELDS)
    return parse_jobs(ask("squeue", "--me", "--array", "--noheader", "--states=all", f"--Format={wanted}"))


def parse_jobs(table: str) -> list[ClusterJob]:
    """Read what squeue has printed."""
    jobs = []
    for line in table.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= len(_FIELDS):
            job_id, state, comment, reason, status, restarts, nodes = fields[: len(_FIELDS)]
            code = _exit_code(status)
            jobs.append(ClusterJob(job_id, state, comment, reason, code, _number(restarts), nodes))
    return jobs


def ask(*command: str, given: str = "", timeout_s: float | None = TIMEOUT_S) -> str:
    """What one of Slurm's commands prints.

    Args:
        command: The command and its arguments.
        given: Its standard input.
        timeout_s: The timeout in seconds, None for none.

    Raises:
        ClusterUnavailable: It fails.
    """
    try:
        answer = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=timeout_s, check=True
        )
    except FileNotFoundError as error:
        raise ClusterUnavailable(f"{command[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterUnavailable(f"{command[0]} took more than {timeout_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise ClusterUnavailable(last_words(error.stderr) or f"{command[0]} failed") from error
    return answer.stdout


def is_passing(message: str) -> bool:
    """Whether what sbatch said is no verdict on the job."""
    return any(word in message.lower() for word in _PASSING)


def is_about_number(message: str) -> bool:
    """Whether the cluster might take some of several jobs that it did not take together."""
    return any(word in message.lower() for word in _NUMBER)


def last_words(printed: str) -> str:
    """The last line of what a command of Slurm complained, without the names it puts before."""
    lines = [line for line in printed.splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1].removeprefix("sbatch: error: ").removeprefix("Batch job submission failed: ").strip()


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _exit_code(status: str) -> int:
    code = os.waitstatus_to_exitcode(_number(status))
    # As shells write it when a signal has ended a process.
    return 128 - code if code > 128 else code
