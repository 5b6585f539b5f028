"""Memory and time before launching: what a step of training takes, and how long an epoch took here."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.launch import training_needs
from dashboard.launch.fields import AUTO, PRECISIONS, limits
from dashboard.launch.problems import size_problem
from dashboard.launch.training_needs import PARTS, Pace, Plan
from dashboard.launch.wording import RECIPES
from dashboard.networks import catalogue
from dashboard.runs.board import read_runs
from dashboard.widgets import formatting, palette, stacked_bars
from dashboard.widgets.address import Field, between, keep, one_of, restore
from dashboard.widgets.problems import show_problem
from dashboard.widgets.stacked_bars import Segment
from dashboard.workplace import open_store
from jobs.host.machine import Machine, Room, describe_machine, room_of
from jobs.host.slots import slots_of
from jobs.preflight.fitting import precision_of
from jobs.submission.spec import JobSpec

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger.training_memory import Memory

Fields = Mapping[str, Field]

DEFAULT_NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet50")
DEFAULT_BATCH_SIZE = 32
GIB = 2**30
# Weights, gradients, optimiser state, copies, activations, images.
PART_COLOURS = dict(
    zip(PARTS.values(), (palette.COLOURS[place] for place in (1, 6, 2, 5, 0, 4, 3, 7)), strict=True)
)
# A part of a bar narrower than this, in percent of the axis, has no room for its text.
NARROW = 14.0


def show_memory(spec: JobSpec, num_classes: int | None = None) -> None:
    """Show what the jobs of an order take: memory a device, and time an epoch where it was measured.

    Args:
        spec: a complete order, as the launch form gives it.
        num_classes: of the images; those of each network's paper where they are not known.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    show_plans([plan_of(config, describe_machine()) for config in spec.configs()], num_classes)


def show_memory_section(page: Fields | None = None) -> None:
    """Ask for networks, batch and precision, and show what training takes.

    Args:
        page: further fields that the address keeps.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    networks = catalogue.architectures()
    fields = memory_fields(networks)
    restore(fields)
    keys = st.multiselect(
        "Networks",
        list(networks),
        format_func=lambda key: networks[key].name,
        key="memory",
        placeholder="Choose networks",
    )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        image_size = st.number_input(
            "Image size, px",
            *limits("image_size"),
            None,
            placeholder="the papers'",
            width=160,
            key="memory_size",
        )
        batch_size = st.number_input(
            "Batch size", *limits("batch_size"), width=140, key="memory_batch", help="Images per step"
        )
        precision = st.selectbox(
            "Precision",
            list(PRECISIONS),
            format_func=lambda key: PRECISIONS[key],
            width=230,
            key="memory_precision",
        )
        recipe = st.segmented_control(
            "Recipe", list(RECIPES), format_func=str.capitalize, required=True, key="memory_recipe"
        )
    keep({**(page or {}), **fields})
    if not keys:
        st.info(
            "Choose networks above to see the memory and time that training needs.", icon=":material/memory:"
        )
        return
    chosen = [networks[key] for key in keys]
    if problem := size_problem(image_size or min(one.input_size for one in chosen), chosen):
        show_problem(problem)
        return
    machine = describe_machine()
    resolved = precision_of({} if precision == AUTO else {"precision": precision}, machine)
    show_plans(
        [
            Plan(one.key, image_size or one.input_size, batch_size, resolved, recipe or "paper")
            for one in chosen
        ]
    )


def memory_fields(networks: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields of the section."""
    return {
        "memory": Field([key for key in DEFAULT_NETWORKS if key in networks], one_of(networks), many=True),
        "memory_size": Field(None, between(*limits("image_size"))),
        "memory_batch": Field(DEFAULT_BATCH_SIZE, between(*limits("batch_size"))),
        "memory_precision": Field(AUTO, one_of(PRECISIONS)),
        "memory_recipe": Field("paper", one_of(RECIPES)),
    }


def plan_of(config: Mapping[str, Mapping[str, object]], machine: Machine) -> Plan:
    """Read a job's configuration."""
    model, data, trainer = config["model"], config["data"], config["trainer"]
    options = model.get("options") or {}
    assert isinstance(options, Mapping)
    return Plan(
        key=str(model["architecture"]),
        image_size=int(str(data["image_size"])),
        batch_size=int(str(data["batch_size"])),
        precision=precision_of(trainer, machine),
        recipe=str(model["recipe"]),
        options={str(name): str(value) for name, value in options.items()},
        source=str(data["source"]),
        root=str(data.get("root") or ""),
    )


def show_plans(plans: Sequence[Plan], num_classes: int | None = None) -> None:
    """Show a bar of memory and a line of text for each plan, against the memory there is.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    machine, runs = describe_machine(), read_runs(open_store())
    busy = {slot for run in runs if run.status == "RUNNING" for slot in slots_of(run)}
    room = room_of(machine, busy=busy)
    names = names_of(plans)
    needs = [need_of(plan, num_classes) for plan in plans]
    bars = segments(dict(zip(names, needs, strict=True)))
    legend = stacked_bars.legend_html(PART_COLOURS)
    st.html(legend + stacked_bars.stacked_bars(bars, PART_COLOURS, "GB per device"))
    lines = []
    for name, plan, need in zip(names, plans, needs, strict=True):
        pace = training_needs.find_pace(open_store(), runs, plan, machine)
        lines.append(f"- {memory_text(name, plan, need, room)} {pace_text(pace)}")
    st.markdown("\n".join(lines))
    st.caption(
        "Counted from the layers, except for the two parts that are estimated. The sum was within 15 % of "
        "the peaks measured on a CPU; GPUs have not been measured yet. Python with its libraries (about "
        "0.8 GB) and image loading are not included."
    )


def names_of(plans: Sequence[Plan]) -> list[str]:
    """Name the networks, with their recipes where one is there with several."""
    several = len({plan.recipe for plan in plans}) > 1
    names = [catalogue.architectures()[plan.key].name for plan in plans]
    return [f"{name}, {plan.recipe}" if several else name for name, plan in zip(names, plans, strict=True)]


def need_of(plan: Plan, num_classes: int | None) -> "Memory":
    """Count what a plan takes."""
    recipe = catalogue.architectures()[plan.key].get_recipe(plan.recipe)
    ledger = catalogue.ledger(plan.key, num_classes, plan.image_size, plan.options)
    from lightning_modules.ledger.training_memory import add_up

    return add_up(ledger, plan.image_size, plan.batch_size, plan.precision, recipe)


def segments(needs: "Mapping[str, Memory]") -> list[Segment]:
    """Lay the parts of each network's memory end to end, in GB."""
    longest = max(need.total for need in needs.values())
    found = []
    for name, need in needs.items():
        for part, word in PARTS.items():
            amount = getattr(need, part)
            if amount:
                detail = f"{name}\n{word}: {memory_size(amount)} of {memory_size(need.total)}"
                text = memory_size(amount) if 100 * amount / longest >= NARROW else ""
                found.append(Segment(name, word, amount / GIB, text, detail))
    return found


def memory_text(name: str, plan: Plan, need: "Memory", room: Room) -> str:
    """Describe what a step takes of the memory there is, and when that cannot be."""
    setting = f"{plan.image_size} px, batches of {plan.batch_size}, {plan.precision}"
    text = f"**{name}** ({setting}): **{memory_size(need.total)}** per device"
    if not room.size_bytes:
        return f"{text}."
    of = "free on" if room.is_gpu else "of"
    there = f"the {formatting.size(room.size_bytes)} {of} {formatting.plain(room.name)}"
    if need.total > room.size_bytes and room.is_gpu:
        return f":orange[:material/warning: {text}, perhaps more than {there}.]"
    if need.total > room.size_bytes:
        return f":red[:material/error: {text}, more than {there}.]"
    return f"{text}, {100 * need.total / room.size_bytes:.0f} % of {there}."


def pace_text(pace: Pace | None) -> str:
    """Describe how long an epoch took where it was measured; nothing is guessed where it was not."""
    if pace is None:
        return "Time: not measured on this machine yet."
    images = f"{pace.train_images:,} images of {pace.run.source}"
    return (
        f"An epoch of {images} takes {formatting.duration(pace.epoch_s)} "
        f"({formatting.rate(pace.images_per_s)}, measured here in {formatting.plain(pace.run.name)})."
    )


def memory_size(num_bytes: int) -> str:
    """Write an amount of memory with as many digits as one wants to compare: `1.3 GB`."""
    if num_bytes >= 0.95 * GIB:
        return f"{num_bytes / GIB:.1f} GB"
    return f"{num_bytes / 2**20:.0f} MB"
