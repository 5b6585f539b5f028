"""A real Slurm cluster of two nodes on this machine, with ports, keys and folders of its own."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

PATHS = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
NODES = ("n1", "n2")

CONFIGURATION = """
ClusterName=arena
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=4
MessageTimeout=5
TCPTimeout=1
KillWait=20
MaxArraySize=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=arena Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=2
"""


def find_missing() -> list[str]:
    """The programs that this machine lacks for a cluster."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATHS) is None]


class Cluster:
    """Starts and ends the daemons; all of them are children of this process."""

    def __init__(self) -> None:
        # Not pytest's folder: the path of a socket has to be short.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.environment = {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            # The names of the virtual nodes are not those of machines.
            "MASTER_ADDR": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
            "PATH": PATHS,
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start everything; returns when both nodes are idle."""
        for name in ("munge", "state", *NODES):
            (self.folder / name).mkdir(mode=0o700)
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(64))
        text = CONFIGURATION.format(
            folder=self.folder,
            host=socket.gethostname().split(".")[0],
            user=getpass.getuser(),
            ports=find_ports(3),
        )
        (self.folder / "slurm.conf").write_text(text)
        munge = self.folder / "munge"
        files = [f"--{name}={munge / name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._run("munged", "--foreground", "--force", f"--key-file={key}", *files)
        wait_until((munge / "socket").exists)
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.count_idle() == len(NODES))

    def stop(self) -> None:
        """End everything and remove the folder."""
        for node in NODES:
            self.kill_node(node)
        for name in ("slurmctld", "munged"):
            self._end(name)
        for process in psutil.process_iter():  # slurmstepd hangs now and then when its step has ended
            with suppress(psutil.Error):
                is_ours = process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if is_ours and process.name() == "slurmstepd":
                    process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        """Start slurmctld; it takes up the jobs that it knew."""
        self._run("slurmctld", "-D")

    def stop_controller(self) -> None:
        """End slurmctld; jobs go on."""
        self._end("slurmctld")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._run("slurmd", "-D", "-N", node, name=node)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all that runs on it, as a power cut would."""
        daemon = self._daemons.pop(node, None)
        if daemon is None:
            return
        doomed = self.find_processes(node)
        daemon.kill()
        for process in doomed:
            with suppress(psutil.Error):
                process.kill()
        daemon.wait()
        psutil.wait_procs(doomed, timeout=10)

    def find_processes(self, node: str) -> list[psutil.Process]:
        """What runs on a node: daemons of steps, which only their children tell apart, come first."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                is_ours = environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if is_ours and environment.get("SLURMD_NODENAME") == node:
                    parent = process.parent()
                    if parent and parent.name() == "slurmstepd":
                        found.insert(0, parent)
                    found.append(process)
        return found

    def count_idle(self) -> int:
        """How many nodes wait for work."""
        return int(self.ask("sinfo", "--noheader", "--states=idle", "--format=%D").strip() or 0)

    def hurry(self, job_id: str) -> None:
        """Let a job that was put back start at once.

        Slurm waits for two minutes, lest a late word of the first time be taken for the end of the second.
        """
        completing = ("sinfo", "--noheader", "--states=completing", "--format=%D")
        wait_until(lambda: not self.ask(*completing).strip().strip("0"))
        time.sleep(1)
        self.ask("scontrol", "update", f"JobId={job_id}", "StartTime=now")

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        environment = os.environ | self.environment
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        return answer.stdout

    def _run(self, program: str, *arguments: str, name: str = "") -> None:
        with (self.folder / f"{name or program}.log").open("ab") as log:
            self._daemons[name or program] = subprocess.Popen(
                [shutil.which(program, path=PATHS) or program, *arguments],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        if daemon := self._daemons.pop(name, None):
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=30)


def find_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Return as soon as a condition holds; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("The cluster does not start; its logs are lost with its folder.")
        time.sleep(0.05)
