"""The commands of a Slurm cluster, called without a shell."""

import os
import subprocess
from dataclasses import dataclass

from jobs.problems import Cluster
from problems import Problem

TIMEOUT_S = 60.0
# squeue's own names.
_FIELDS = ("JobArrayID", "State", "Comment", "Reason", "exit_code", "RestartCnt", "NodeList")
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
)  # fmt: skip
# Slurm reports errors only as text. Messages with these words are temporary problems.
_PASSING = (
    "unable to contact", "connection", "timed out", "zero bytes", "authentication", "munge", "temporarily",
    "submit limit", "maxsubmit", "slurm backup controller", "service unavailable",
)  # fmt: skip
# Messages with these words may be avoided by submitting fewer jobs.
_NUMBER = ("limit", "array")
# How to reach the cluster, and that a program is within a job at all.
_LASTING = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_JOB_ID")
# The users' defaults for sbatch that none of its options can override.
_IRREVOCABLE = ("SBATCH_ARRAY_INX", "SBATCH_WAIT")


class ClusterUnavailable(Problem):
    """The cluster does not answer, or does not accept jobs at the moment."""

    @property
    def said(self) -> str:
        """The message of Slurm's own command, empty if there is none."""
        return str(self.values.get("said", ""))


@dataclass(frozen=True)
class ClusterJob:
    """One job on the cluster.

    Attributes:
        job_id: Its number, with the index of an array's member, as in `7_0`.
        state: Its state in Slurm's terms.
        comment: The comment that it was submitted with, the same for all members of an array.
        reason: Why it is waiting.
        exit_code: The exit code of `srun`, that of the first task that failed; negative: the signal.
        restarts: How often it was requeued.
        nodes: Its nodes in Slurm's notation.
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
        """Its unique name, see `jobs.engines.slurm_submission.ticket_of`."""
        _, _, index = self.job_id.partition("_")
        return f"{self.comment}_{index}" if index else self.comment

    @property
    def is_waiting(self) -> bool:
        """Whether it has no nodes, either not yet or not any more."""
        return self.state in _WAITING

    @property
    def has_ended(self) -> bool:
        """Whether it will never run again."""
        return self.state in _ENDED


def remove_job_variables() -> None:
    """Remove the environment variables of a Slurm job that this process may be in.

    Otherwise, training on several devices would treat itself as a process that Slurm has started, and
    submitted jobs would request the resources of that job.
    """
    for name in [*os.environ]:
        of_job = name.startswith(("SLURM_", "SRUN_")) and name not in _LASTING
        if of_job or name in _IRREVOCABLE:
            del os.environ[name]


def list_jobs() -> list[ClusterJob]:
    """Return every job of this user that is waiting, running, or has recently finished.

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
    """Run one of Slurm's commands and return its output.

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
        raise ClusterUnavailable(Cluster.NOT_INSTALLED, command=command[0]) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterUnavailable(Cluster.NO_ANSWER, command=command[0], limit_s=timeout_s) from error
    except subprocess.CalledProcessError as error:
        said = last_words(error.stderr) or f"{command[0]} failed"
        raise ClusterUnavailable(Cluster.FAILED, said=said) from error
    return answer.stdout


def is_passing(message: str) -> bool:
    """Return whether a message of Slurm describes a temporary problem rather than one of the job."""
    return any(word in message.lower() for word in _PASSING)


def is_about_number(message: str) -> bool:
    """Return whether the cluster might accept jobs one by one that it has rejected together."""
    return any(word in message.lower() for word in _NUMBER)


def last_words(printed: str) -> str:
    """Return the last line of an error message of Slurm, without the names of commands before it."""
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
