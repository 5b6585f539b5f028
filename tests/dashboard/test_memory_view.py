"""Memory and time before launching: counted from the layers, and never guessed where nothing was measured."""

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.launch import memory_estimate, training_needs
from dashboard.launch.training_needs import Plan
from jobs.host.machine import Gpu, Machine, Room, describe_machine, room_of
from jobs.submission.spec import JobSpec
from lightning_modules.ledger.training_memory import estimate
from tests.dashboard.conftest import configuration
from tracking import records
from tracking.runs import get_run, list_runs
from tracking.store import Store

GIB = 2**30
PLAN = Plan("resnet50", 224, 32, "32-true", "paper")
CPU = Machine("here", "cpu", 2, 16 * GIB, (), "cpu", ("cpu:0",))


def script() -> None:
    from dashboard.launch.memory_estimate import show_memory_section
    from dashboard.widgets.address import arrive

    arrive("architectures")
    show_memory_section()


def order_script() -> None:
    from dashboard.launch.memory_estimate import show_memory
    from jobs.submission.spec import JobSpec

    show_memory(JobSpec(("alexnet", "resnet18"), batch_size=64, precision="32-true"), 10)


def run_as(store: Store, plan: Plan, speeds: tuple[float, ...] = (90, 100, 5), **found_out: object) -> str:
    """Write a run of a plan as one of this machine."""
    config = configuration(
        plan.key, source=plan.source or "digits", image_size=plan.image_size, batch_size=plan.batch_size
    )
    run_id = records.create_run(store, config)
    known = {"precision": plan.precision, "device": "cpu (2 threads)", "world_size": 1, "train_images": 1350}
    records.log_params(store, run_id, known | found_out)
    records.set_tags(store, run_id, {"job.host": "here"})
    for step, speed in enumerate(speeds, 1):
        records.log_metrics(store, run_id, {training_needs.SPEED: speed}, step)
    records.set_status(store, run_id, "FINISHED")
    return run_id


def test_the_page_shows_the_estimate() -> None:
    assert memory_estimate.need_of(PLAN, None) == estimate("resnet50", None, 224, 32, "32-true", "paper")


def test_sixteen_bits_halve_activations_and_copy_weights() -> None:
    full = memory_estimate.need_of(PLAN, None)
    half = memory_estimate.need_of(dataclasses.replace(PLAN, precision="bf16-mixed"), None)
    assert half.parameters == full.parameters and half.weight_copies > 0 == full.weight_copies
    assert half.activations < 0.7 * full.activations


def test_auxiliary_heads_train_too() -> None:
    need = memory_estimate.need_of(Plan("googlenet", 224, 1, "32-true", "paper"), None)
    assert need.gradients == 4 * 13_378_280


def test_the_room_is_that_of_the_smallest_gpu_or_of_the_machine() -> None:
    assert room_of(CPU) == Room("this machine", 16 * GIB)
    gpus = (Gpu("0", "large", 80 * GIB), Gpu("1", "small", 24 * GIB))
    machine = dataclasses.replace(CPU, gpus=gpus, accelerator="cuda")
    assert room_of(machine) == Room("small", 24 * GIB, is_gpu=True)
    unknown = dataclasses.replace(CPU, gpus=(Gpu("0", "MIG device", 0),), accelerator="cuda")
    assert room_of(unknown).size_bytes == 0


def test_what_does_not_fit_is_said_in_red() -> None:
    need = memory_estimate.need_of(PLAN, None)
    small = memory_estimate.memory_text("ResNet-50", PLAN, need, Room("this machine", GIB))
    assert small.startswith(":red[") and "more than the 1 GB of this machine" in small
    large = memory_estimate.memory_text("ResNet-50", PLAN, need, Room("this machine", 16 * GIB))
    assert "% of the 16 GB of this machine" in large and ":red[" not in large


def test_the_time_of_an_epoch_is_measured(empty_store: Store) -> None:
    run = get_run(empty_store, run_as(empty_store, PLAN))
    pace = training_needs.find_pace(empty_store, [run], PLAN, CPU)
    assert pace is not None
    assert (pace.images_per_s, pace.epoch_s) == (90, 15), "the median: a last interval can be slow"
    assert "An epoch of 1,350 images of digits takes 15 s (90.0 images/s" in memory_estimate.pace_text(pace)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "resnet18"},
        {"image_size": 64},
        {"batch_size": 16},
        {"precision": "bf16-mixed"},
        {"options": {"stride_on": "3x3"}},
        {"source": "folder", "root": "/data"},
    ],
)
def test_another_setting_was_not_measured(changes: dict[str, object], empty_store: Store) -> None:
    run = get_run(empty_store, run_as(empty_store, PLAN))
    other = dataclasses.replace(PLAN, **changes)
    assert training_needs.find_pace(empty_store, [run], other, CPU) is None


def test_another_machine_does_not_count(empty_store: Store) -> None:
    run = get_run(empty_store, run_as(empty_store, PLAN))
    there = dataclasses.replace(CPU, name="there")
    gpu = dataclasses.replace(CPU, accelerator="cuda", gpus=(Gpu("0", "GPU", GIB),))
    assert training_needs.find_pace(empty_store, [run], PLAN, there) is None
    assert training_needs.find_pace(empty_store, [run], PLAN, gpu) is None


def test_several_devices_and_runs_without_a_speed_do_not_count(empty_store: Store) -> None:
    run_as(empty_store, PLAN, world_size=2)
    run_as(empty_store, PLAN, speeds=())
    run_as(empty_store, PLAN, speeds=(float("nan"),))
    assert training_needs.find_pace(empty_store, list_runs(empty_store), PLAN, CPU) is None
    assert memory_estimate.pace_text(None) == "Time: not measured on this machine yet."


def test_an_order_becomes_plans() -> None:
    spec = JobSpec(
        ("resnet50",),
        recipe=("modern",),
        image_size=96,
        precision="16-mixed",
        options={"resnet50": {"shortcut": "A"}},
    )
    (config,) = spec.configs()
    plan = memory_estimate.plan_of(config, CPU)
    assert (plan.key, plan.image_size, plan.batch_size, plan.source) == ("resnet50", 96, 256, "digits")
    assert plan.precision == "bf16-mixed", "a processor has no float16"
    assert plan.options == {"shortcut": "A"}


def test_the_parts_of_a_bar_are_the_parts_of_the_need() -> None:
    need = memory_estimate.need_of(PLAN, None)
    found = memory_estimate.segments({"ResNet-50": need})
    assert sum(part.length for part in found) * GIB == pytest.approx(need.total)
    assert {part.part for part in found} <= set(memory_estimate.PART_COLOURS)


def test_the_section_shows_bars_and_says_what_was_not_measured(empty_store: Store) -> None:
    app = AppTest.from_function(script, default_timeout=120)
    app.query_params.update({"memory": ["vgg16"], "memory_batch": "8", "memory_precision": "32-true"})
    app.run()
    assert not app.exception and "<dt>VGG-16</dt>" in "".join(one.proto.body for one in app.get("html"))
    text = "\n".join(markdown.value for markdown in app.markdown)
    assert "**VGG-16** (224 px, batches of 8, 32-true)" in text and "not measured on this machine yet" in text
    app.multiselect(key="memory").set_value([]).run()
    assert "Choose networks above" in app.info[0].value
    assert app.query_params["memory_batch"] == "8"


def test_launch_can_show_it_for_its_form(empty_store: Store) -> None:
    plan = Plan("alexnet", 64, 64, "32-true", "quick", source="digits")
    run_id = run_as(empty_store, plan)
    records.set_tags(empty_store, run_id, {"job.host": describe_machine().name})
    app = AppTest.from_function(order_script, default_timeout=120).run()
    assert not app.exception
    text = "\n".join(markdown.value for markdown in app.markdown)
    assert "**AlexNet** (64 px, batches of 64" in text and "**ResNet-18**" in text
    if describe_machine().accelerator == "cpu":
        assert "measured here in alexnet-digits" in text.replace("\\", "")
