"""GPUs as reported by the NVIDIA driver, which a substitute for pynvml simulates."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.host import gpus
from jobs.host.gpus import Gpu, Load, ask_driver, read_load, visible_gpus
from jobs.host.load import read_loads
from jobs.host.machine import Machine, Room, describe_machine, room_of
from jobs.host.slots import count_slots, environment_of, join_slots, slots_for
from jobs.preflight.fitting import host_bytes, need_bytes, precision_of
from jobs.preflight.questions import check_gpu, check_memory
from jobs.problems import Launch, TrialProblem
from jobs.submission.spec import JobSpec
from tests.jobs.test_forecast import run
from tests.refusals import refused
from tracking import records
from tracking.layout import REPOSITORY

GIB = 2**30
H200 = {"name": "NVIDIA H200", "total": 140 * GIB, "capability": [9, 0], "busy": 93, "temperature": 61}
TWO = [{**H200, "uuid": "GPU-aaaa-1", "used": 20 * GIB}, {"uuid": "GPU-bbbb-2", "name": "NVIDIA GB10"}]
PARTS = [{"uuid": f"MIG-{letter}", "name": "NVIDIA H200 MIG 1g.18gb", "total": 18 * GIB} for letter in "xy"]
DIVIDED = [{**H200, "uuid": "GPU-cccc-3", "parts": PARTS}]

Tell = Callable[..., None]


def test_gpus_are_read_from_the_driver(tell: Tell) -> None:
    tell(TWO)
    first, second = ask_driver().gpus
    assert first == Gpu("0", "NVIDIA H200", 140 * GIB, "GPU-aaaa-1", "0", (9, 0))
    assert second == Gpu("1", "NVIDIA GB10", 0, "GPU-bbbb-2", "1"), "unified memory is not reported"
    assert ask_driver().version == "580.95.05"
    assert read_load(first) == Load("cuda:0", 0.93, 20 * GIB, 140 * GIB, 61.0)
    assert read_load(second) == Load("cuda:1", None, None, None, None)
    found = describe_machine()
    assert (found.accelerator, found.num_devices) == ("cuda", 2)
    assert found.slots == ("cuda:0", "cuda:1", "cpu:0")
    assert [load.slot for load in read_loads(found)] == ["", "cuda:0", "cuda:1"]


def test_a_failed_gpu_does_not_hide_others(tell: Tell) -> None:
    tell([{"uuid": "GPU-x", "lost": True}, TWO[0]])
    assert [gpu.key for gpu in ask_driver().gpus] == ["1"]


def test_a_driver_that_does_not_respond_is_queried_again(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    tell("Driver/library version mismatch")
    monkeypatch.setattr(gpus, "DRIVER", ())
    assert describe_machine().problem == "", "no driver is installed"
    monkeypatch.setattr(gpus, "DRIVER", (Path("/"),))
    tell("Driver/library version mismatch")
    found = describe_machine()
    assert (found.accelerator, found.slots) == ("cpu", ("cpu:0",))
    assert "(Driver/library version mismatch)" in found.problem
    assert environment_of(["cpu:0"], found) == {"CUDA_VISIBLE_DEVICES": ""}, (
        "training uses the device that the dashboard shows"
    )
    monkeypatch.setenv("NVML_GPUS", json.dumps(TWO))
    assert describe_machine().slots == ("cuda:0", "cuda:1", "cpu:0") and not describe_machine().problem


@pytest.mark.parametrize(
    ("visible", "keys"),
    [
        ("", []),
        ("-1", []),
        ("1,0", ["1", "0"]),
        ("0, 1", ["0", "1"]),
        ("0,-1,1", ["0"]),
        ("7", []),
        ("GPU-bbbb-2", ["GPU-bbbb-2"]),
        ("GPU-bb,0", ["GPU-bb", "0"]),
        ("MIG-y", ["MIG-y"]),
        ("2", ["MIG-x"]),  # CUDA takes the first part of a GPU that is divided
        ("MIG-GPU-cccc-3/1/0", ["MIG-GPU-cccc-3/1/0"]),
    ],
)
def test_only_visible_gpus_count(visible: str, keys: list[str], tell: Tell) -> None:
    tell([*TWO, *DIVIDED])
    assert [gpu.key for gpu in visible_gpus(ask_driver().gpus, visible)] == keys
    tell([*TWO, *DIVIDED], visible)
    assert describe_machine().slots == (*(f"cuda:{key}" for key in keys), "cpu:0")


def test_parts_of_a_gpu_are_devices_of_their_own(tell: Tell) -> None:
    tell(DIVIDED)
    found = describe_machine()
    assert found.slots == ("cuda:MIG-x", "cuda:MIG-y", "cpu:0")
    assert room_of(found) == Room("NVIDIA H200 MIG 1g.18gb", 18 * GIB, is_gpu=True)
    assert found.gpus[0].capability == (9, 0)
    assert count_slots({"devices": "auto"}, found.slots) == 1
    with refused(Launch.GPU_PARTS, devices=2):
        count_slots({"devices": 2}, found.slots)


@pytest.mark.parametrize(
    ("trainer", "slots", "wanted"),
    [
        ({}, ["cuda:0", "cuda:1", "cpu:0"], ["cuda:0", "cuda:1"]),
        ({"accelerator": "gpu"}, ["cuda:0", "cpu:0"], ["cuda:0"]),
        ({"accelerator": "cpu", "devices": 4}, ["cuda:0", "cpu:0"], ["cpu:0"]),
        ({"accelerator": "auto"}, ["mps:0", "cpu:0"], ["mps:0"]),
        ({"accelerator": "gpu"}, ["mps:0", "cpu:0"], ["mps:0"]),
        ({"accelerator": "cpu"}, ["mps:0", "cpu:0"], ["cpu:0"]),
        ({"accelerator": "cuda"}, ["cpu:0"], []),
    ],
)
def test_a_job_takes_devices_of_the_kind_it_asks_for(
    trainer: dict[str, Any], slots: list[str], wanted: list[str]
) -> None:
    assert slots_for(trainer, slots) == wanted
    if wanted:
        assert count_slots(trainer, slots) == 1
    else:
        with refused(Launch.NO_ACCELERATOR, accelerator="cuda", available="cpu"):
            count_slots(trainer, slots)


def test_a_process_sees_its_devices_by_the_numbers_that_are_shown(tell: Tell) -> None:
    """The indices follow the PCI bus, while CUDA's default order is fastest first."""
    tell(TWO)
    found = replace(describe_machine(), cores=32)
    seen = environment_of(["cuda:1"], found)
    assert (seen["CUDA_DEVICE_ORDER"], seen["CUDA_VISIBLE_DEVICES"]) == ("PCI_BUS_ID", "1")
    assert seen["ARENA_CORES"] == "16" and environment_of(["cuda:0", "cuda:1"], found)["ARENA_CORES"] == "32"
    assert environment_of(["cpu:0"], found) == {"CUDA_VISIBLE_DEVICES": ""}, "no context on a card"
    assert join_slots(["cuda:0", "cuda:1"]) == "cuda:0,1"
    code = "import training, os; print(os.environ['CUDA_DEVICE_ORDER'])"
    by_hand = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert by_hand.stdout.strip() == "PCI_BUS_ID"


def test_jobs_on_gpus_and_on_the_processor_do_not_wait_for_each_other(store, benches) -> None:
    bench = benches(store, ("cuda:0", "cpu:0"))
    trainers = ({}, {"accelerator": "auto"}, {"accelerator": "cpu"}, {"accelerator": "cpu"})
    first, second, beside, later = (
        bench.submit("finish", seconds=1.0, trainer={"devices": 1, **trainer}) for trainer in trainers
    )
    bench.until(lambda: "began" in bench.printed(first) and "began" in bench.printed(beside))
    assert bench.run(second).status == bench.run(later).status == "SCHEDULED"
    assert bench.run(beside).tags["job.slots"] == "cpu:0"
    ended = bench.until_ended(first, second, beside, later)
    assert [one.tags["job.slots"] for one in ended] == ["cuda:0", "cuda:0", "cpu:0", "cpu:0"]
    assert "--trainer.accelerator cuda --run_id" in bench.printed(second)
    assert "--trainer.accelerator" not in bench.printed(beside)


def test_a_forecast_keeps_kinds_of_devices_apart() -> None:
    from jobs.scheduling.forecast import EXPECTED, forecast

    def waiting(name: str, accelerator: str) -> Any:
        one = run(name, **{EXPECTED: "60"})
        return replace(one, params={**one.params, "trainer.accelerator": accelerator})

    queued = [waiting("a1", "auto"), waiting("a2", "auto"), waiting("b1", "cpu"), waiting("b2", "cpu")]
    spans = forecast([], queued, [], ["cuda:0", "cpu:0"], "here")
    assert [spans[one.run_id].start_s for one in queued] == [0, 60, 0, 60]
    assert [spans[one.run_id].slots for one in queued[1:3]] == [("cuda:0",), ("cpu:0",)]


SPEC = JobSpec(("resnet50",), image_size=224, batch_size=512, devices=1)


def machine_of(*cards: Gpu, cores: int = 16, memory_bytes: int = 128 * GIB) -> Machine:
    slots = (*(card.slot for card in cards), "cpu:0")
    return Machine("here", "cpu", cores, memory_bytes, cards, "cuda", slots, driver="580.95")


SMALL = Gpu("0", "NVIDIA T4", 15 * GIB, capability=(7, 5))


def test_the_estimate_for_a_gpu_warns_and_does_not_refuse(tell: Tell) -> None:
    (config,) = SPEC.configs()
    device, main = check_memory([config], 1000, machine_of(SMALL))
    assert device.verdict is None and "15.0 GB free on NVIDIA T4" in device.text
    assert device.remedy is not None and main.verdict is True
    tell(TWO[:1])
    asked = [check_memory([config], 1000, describe_machine(), runs)[0] for runs in ([], [busy("0")])]
    assert "120.0 GB free on" in asked[0].text, "another program uses 20"
    assert "140.0 GB free on" in asked[1].text, (
        "a job of the same store uses them, and will have ended by then"
    )


def busy(key: str) -> Any:
    return run("x", "RUNNING", took_s=20, **{"job.slots": f"cuda:{key}"})


def test_several_gpus_take_more_memory_each_and_more_of_the_machine() -> None:
    large = replace(SMALL, memory_bytes=140 * GIB)
    both = machine_of(large, replace(large, key="1"))
    one, two = (replace(SPEC, source="folder", devices=devices).configs()[0] for devices in (1, 2))
    gradients = 4 * 25_557_032
    assert need_bytes(two, 1000, both) - need_bytes(one, 1000, both) >= gradients
    # Two loaders, each with eight processes that read two batches ahead, and two in use; pinned copies too.
    batch, pinned = 512 * 224 * 224 * 3, 2**27
    assert host_bytes(one, both) == 800 * 2**20 + 2 * (2 * 8 + 2) * (batch + pinned)
    assert host_bytes(two, both) == 2 * host_bytes(one, both)
    answer = check_memory([two], 1000, replace(both, memory_bytes=8 * GIB))[1]
    assert answer.verdict is False and "8.0 GB" in answer.text


@pytest.mark.parametrize(
    ("trainer", "card", "precision"),
    [
        ({}, SMALL, "16-mixed"),
        ({}, replace(SMALL, capability=(9, 0)), "bf16-mixed"),
        ({}, replace(SMALL, capability=None), "bf16-mixed"),
        ({"precision": "16-mixed"}, SMALL, "16-mixed"),
        ({"precision": "16-mixed", "accelerator": "cpu"}, SMALL, "bf16-mixed"),
    ],
)
def test_precision_is_known_without_opening_a_gpu(trainer: dict[str, Any], card: Gpu, precision: str) -> None:
    assert precision_of(trainer, machine_of(card)) == precision


@pytest.mark.parametrize(
    ("card", "driver", "sentence"),
    [
        (SMALL, "580.95", None),
        (
            replace(SMALL, capability=(7, 0), name="V100"),
            "580.95",
            "7.5 and later, and V100 has 7.0",
        ),
        (SMALL, "535.104", "needs NVIDIA's driver 580 or later, and NVIDIA T4 has 535.104"),
        (replace(SMALL, capability=None), "", None),
    ],
)
def test_a_gpu_that_pytorch_cannot_use_is_named_before_anything_starts(
    card: Gpu, driver: str, sentence: str | None
) -> None:
    import torch

    if not (torch.version.cuda or "").startswith("13"):
        pytest.skip("written for a PyTorch built with CUDA 13")
    answers = check_gpu(SPEC.configs(), replace(machine_of(card), driver=driver))
    assert [answer.verdict for answer in answers] == ([False] if sentence else [])
    assert sentence is None or sentence in answers[0].text
    on_cpu = SPEC.configs()[0]
    on_cpu["trainer"]["accelerator"] = "cpu"
    assert check_gpu([on_cpu], replace(machine_of(card), driver=driver)) == []


def test_the_name_of_a_part_breaks_no_file_name(store, tell: Tell) -> None:
    from jobs.preflight.trials import try_out

    tell([], "")
    (config,) = JobSpec(("cifar_resnet20",), image_size=32, batch_size=8, epochs=1).configs()
    config["trainer"]["accelerator"] = "cuda"
    with refused(TrialProblem.NO_DEVICE, accelerator="cuda"):
        try_out(store, config)
    tell(TWO, "MIG-GPU-cccc-3/1/0")
    with refused(TrialProblem.FAILED):
        try_out(store, config)
    busy = records.create_run(store, {}, name="busy")
    records.set_tags(store, busy, {"job.slots": "cuda:MIG-GPU-cccc-3/1/0"})
    records.set_status(store, busy, "RUNNING")
    with refused(TrialProblem.DEVICE_IN_USE, slot="cuda:MIG-GPU-cccc-3/1/0", run="busy"):
        try_out(store, config)
