import os
import subprocess
import sys

import psutil
import pytest

from jobs.load import read_loads
from jobs.machine import Gpu, describe_machine, parse_gpus, visible_gpus
from jobs.memory import Memory, read_memory

TABLE = """\
0, GPU-aaaa-1, NVIDIA H200, 143771
1, GPU-bbbb-2, NVIDIA H200, 143771
2, GPU-cccc-3, NVIDIA GB10, [N/A]
"""


def test_this_machine():
    machine = describe_machine()
    assert machine.cpu and machine.name and machine.memory_bytes > 2**28
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.accelerator in ("cpu", "cuda", "mps")
    assert len(machine.slots) == max(1, len(machine.gpus))


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


@pytest.mark.parametrize(
    ("names", "membership", "folder", "group"),
    [
        (V2, "0::/box/job", "", "box/job"),
        (V2, "0::/box/job", "", "box"),  # the limit of a group holds for those in it
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


def test_gpus_are_read_from_the_driver():
    gpus = visible_gpus(parse_gpus(TABLE), None)
    assert gpus[0] == Gpu("0", "NVIDIA H200", 143771 * 2**20)
    assert [gpu.key for gpu in gpus] == ["0", "1", "2"] and gpus[2].memory_bytes == 0
    assert parse_gpus("NVIDIA-SMI has failed") == ()


@pytest.mark.parametrize(
    ("visible", "keys"),
    [
        ("", []),
        ("-1", []),
        ("2,0", ["2", "0"]),
        ("0, 1", ["0", "1"]),
        ("0,-1,1", ["0"]),
        ("7", []),
        ("GPU-bbbb-2", ["GPU-bbbb-2"]),
        ("GPU-bb,0", ["GPU-bb", "0"]),
        ("MIG-1234", ["MIG-1234"]),
    ],
)
def test_only_visible_gpus_count(visible, keys):
    assert [gpu.key for gpu in visible_gpus(parse_gpus(TABLE), visible)] == keys


def test_no_torch_and_no_mlflow_at_import():
    code = "import jobs.__main__, jobs.machine, sys; print({'torch', 'mlflow', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.strip(), answer.stderr) == ("set()", "")
