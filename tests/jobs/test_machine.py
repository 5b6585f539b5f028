import os
import subprocess
import sys

import pytest

from jobs.machine import Gpu, describe_machine, parse_gpus, visible_gpus

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
