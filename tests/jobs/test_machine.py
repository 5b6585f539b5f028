import os
import subprocess
import sys

import psutil
import pytest

from jobs.host.load import read_loads
from jobs.host.machine import describe_machine
from jobs.host.main_memory import Memory, read_memory


def test_this_machine():
    machine = describe_machine()
    assert machine.cpu and machine.name and machine.memory_bytes > 2**28
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.accelerator in ("cpu", "cuda", "mps")
    assert machine.slots[-1] == "cpu:0" and machine.num_devices == max(1, len(machine.gpus))


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


@pytest.mark.parametrize(
    ("names", "membership", "folder", "group"),
    [
        (V2, "0::/box/job", "", "box/job"),
        (V2, "0::/box/job", "", "box"),  # the limit of a group applies to its subgroups
        (V2, "0::/of-the-machine-outside", "", ""),
        (V1, "9:name=systemd:/\n4:cpu,memory:/box/job\n0::/", "memory", "box/job"),
        (V1, "4:memory:/docker/1f", "memory", ""),
    ],
)
def test_a_container_has_what_its_limit_leaves(names, membership, folder, group, tmp_path):
    limit, used, spare = names
    (tmp_path / "cgroup").write_text(membership + "\n")
    inner, outer = tmp_path / "groups" / folder / group, tmp_path / "groups" / folder
    for place, value in ((outer, "max" if names is V2 else str(2**63 - 4096)), (inner, str(2**28))):
        place.mkdir(parents=True, exist_ok=True)
        (place / limit).write_text(f"{value}\n")
    (inner / used).write_text(f"{2**26}\n")
    (inner / "memory.stat").write_text(f"anon 1\n{spare} {2**25}\n")
    assert read_memory(tmp_path / "cgroup", tmp_path / "groups") == Memory(2**28, 2**26 - 2**25)


def test_without_a_limit_all_memory_counts(tmp_path):
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "memory.max").write_text("max\n")
    total = psutil.virtual_memory().total
    assert read_memory(tmp_path / "cgroup", tmp_path).total_bytes == total
    assert read_memory(tmp_path / "none", tmp_path).total_bytes == total
    machine = describe_machine()
    assert machine.memory_bytes == read_loads(machine)[0].memory_bytes == read_memory().total_bytes


def test_no_torch_and_no_mlflow_at_import():
    code = (
        "import jobs.__main__, jobs.host.machine, sys;"
        "print({'torch', 'mlflow', 'numpy', 'pynvml'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.strip(), answer.stderr) == ("set()", "")
