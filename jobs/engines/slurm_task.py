"""The task of a Slurm job for each node and GPU: the same training process as on this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from jobs.engines.slurm_cluster import ClusterUnavailable, ask, is_passing
from jobs.problems import Cluster
from problems import Problem
from tracking import records, runs
from tracking.problems import StoreUnavailable
from tracking.runs import Run
from tracking.store import Store

# The exit code of the training process after it has saved and stopped on request.
STOPPED = 130
RETRY_INTERVAL_S = 2.0


class SlurmTask:
    """Starts the training process and forwards signals of Slurm.

    Slurm sends SIGTERM (a stop or a preemption) to the training process as well. SIGUSR2, sent before the
    time limit, is forwarded as SIGTERM. If the process has saved and exited without a request to stop, the
    job is requeued.

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
        """Train; return if that succeeded or was stopped, otherwise exit with its exit code."""
        # The training process gets the same signal; this one waits until it has saved and ended.
        signal.signal(signal.SIGTERM, lambda signum, frame: None)
        signal.signal(signal.SIGUSR2, self._on_time)
        if run := self._look_up():
            if run.is_terminal:
                return  # Slurm has requeued a job whose run had been stopped
            self._step = run.step
        # Inherited by the training process, which must not be ended by this signal.
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
        """Return the run, None while the tracking server is unavailable, which does not prevent training."""
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
                return  # requeued or cancelled already, as when Slurm takes back its nodes immediately
            if self._is_time_up and run and run.step <= self._step:
                reason = Problem(Cluster.NO_STEPS)
            else:
                _insist("scontrol", "requeue", job_id)
                return
        except ClusterUnavailable as refusal:
            reason = Problem(Cluster.NOT_REQUEUED, reason=refusal)
        records.set_tags(self.store, self.run_id, {"job.error": reason})
        records.set_status(self.store, self.run_id, "FAILED")


def _is_running(job_id: str) -> bool:
    return _insist("squeue", "--noheader", f"--jobs={job_id}", "--format=%T").strip() == "RUNNING"


def _insist(*command: str) -> str:
    """Run one of Slurm's commands, again until the controller answers, and return its output.

    Raises:
        ClusterUnavailable: The controller refuses.
    """
    while True:
        try:
            return ask(*command)
        except ClusterUnavailable as problem:
            if not is_passing(problem.said):
                raise
        time.sleep(RETRY_INTERVAL_S)


if __name__ == "__main__":
    SlurmTask(Store.default(), sys.argv[1], sys.argv[2:]).run()
