"""What a Slurm job runs on each node and for each GPU: the same training process as on this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from jobs.engines.slurm_cluster import ClusterUnavailable, ask, is_passing
from tracking import records, runs
from tracking.problems import StoreUnavailable
from tracking.runs import Run
from tracking.store import Store

# What the training process returns when it has saved and left because somebody asked it to.
STOPPED = 130
RETRY_INTERVAL_S = 2.0


class SlurmTask:
    """Starts the training process and hands on what Slurm says.

    SIGTERM (a stop, a pre-emption) comes to the training process by itself, for Slurm signals all of them.
    SIGUSR2, which comes before the time limit, becomes a SIGTERM to it. Once it has saved and left although
    nobody has asked for a stop, the job asks for its next turn.

    Args:
        store: The store with the run.
        run_id: The id of the run.
        command: The training program; `--config FILE --run_id ID` is added.
    """

    def __init__(self, store: Store, run_id: str, command: Sequence[str]) -> None:
        self.store = store
        self.run_id = run_id
        self.command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._is_time_up = False
        self._step = 0

    def run(self) -> None:
        """Train; returns when that has ended well or was stopped, otherwise leaves with its exit code."""
        # The training process gets the same signal; this one waits until it has saved and ended.
        signal.signal(signal.SIGTERM, lambda signum, frame: None)
        signal.signal(signal.SIGUSR2, self._on_time)
        if run := self._look_up():
            if run.is_terminal:
                return  # Slurm has put a job back whose run had been stopped
            self._step = run.step
        # Inherited: the training process must not die of what is for us alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        if not self._is_time_up:
            self._start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        code = STOPPED if self._child is None else self._child.wait()
        if self._is_time_up or code == STOPPED:
            self._go_on_later()
        elif code:
            sys.exit(code if code > 0 else 128 - code)

    def _start(self) -> None:
        config = str(self.store.config_file(self.run_id))
        command = [*self.command, "--config", config, "--run_id", self.run_id]
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def _on_time(self, signum: int, frame: FrameType | None) -> None:
        self._is_time_up = True
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)

    def _look_up(self) -> Run | None:
        """The run, None while a tracking server is away, which keeps nobody from training."""
        try:
            return runs.get_run(self.store, self.run_id)
        except StoreUnavailable:
            return None

    def _go_on_later(self) -> None:
        run = self._look_up()
        if os.environ.get("SLURM_PROCID", "0") != "0" or (run and (run.is_terminal or run.is_stopping)):
            return
        array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        job_id = f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]
        try:
            if not _is_running(job_id):
                return  # put back or cancelled already, which is how Slurm takes its nodes at once
            if self._is_time_up and run and run.step <= self._step:
                reason = "The time limit came before a single step was trained; ask for more time and resume."
            else:
                _insist("scontrol", "requeue", job_id)
                return
        except ClusterUnavailable as refusal:
            reason = f"The cluster wants its nodes and does not put the job back ({refusal}); resume the run."
        records.set_tags(self.store, self.run_id, {"job.error": reason})
        records.set_status(self.store, self.run_id, "FAILED")


def _is_running(job_id: str) -> bool:
    return _insist("squeue", "--noheader", f"--jobs={job_id}", "--format=%T").strip() == "RUNNING"


def _insist(*command: str) -> str:
    """What a command of Slurm prints, once the controller answers; nobody ends the job before it does.

    Raises:
        ClusterUnavailable: It answers that it will not.
    """
    while True:
        try:
            return ask(*command)
        except ClusterUnavailable as problem:
            if not is_passing(str(problem)):
                raise
        time.sleep(RETRY_INTERVAL_S)


if __name__ == "__main__":
    SlurmTask(Store.default(), sys.argv[1], sys.argv[2:]).run()
