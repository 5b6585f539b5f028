"""The part of the launch form for what few trainings ask for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.launch import fields
from dashboard.widgets import widths
from dashboard.widgets.address import Field, is_yes
from dashboard.widgets.problems import show_problem
from jobs.host.machine import Machine, describe_machine
from jobs.submission.extras import PLACES, Extras

if TYPE_CHECKING:
    from lightning_modules.recipes import Recipe

SWITCHES = {
    "scale_learning_rate": "Learning rate in proportion to the images of a step",
    "compile": "Compile the network (torch.compile)",
    "sync_batchnorm": "Batch normalisation over all devices (GPUs)",
}


def extra_fields() -> dict[str, Field]:
    """Name the fields."""
    return {name: Field("") if name == "ema_decay" else Field(False, is_yes) for name in PLACES}


def show_extras() -> tuple[Extras, str]:
    """Ask for them. Returns also what is wrong."""
    is_used = any(st.session_state[name] for name in PLACES)
    with st.expander("Average of the weights, scaling, compilation", expanded=is_used):
        text = st.text_input(
            "Decay of a moving average of the weights",
            placeholder="none; 0.9999 is usual",
            width=widths.WORDS,
            key="ema_decay",
            help="The average is validated and kept as the best checkpoint, not the weights as they are.",
        ).strip()
        decay, problem = parse_decay(text)
        show_problem(problem)
        on = {name: st.checkbox(label, key=name) for name, label in SWITCHES.items()}
    return Extras(ema_decay=decay, **on), problem


def parse_decay(text: str) -> tuple[float | None, str]:
    """Read a decay, None if empty. Returns it with what is wrong with it."""
    try:
        decay = float(text) if text else None
    except ValueError:
        return None, f"The decay is {text}; it must be a number, such as 0.9999."
    if decay is not None and not 0 < decay < 1:
        return None, f"The decay is {text}; it must be above 0 and below 1, such as 0.9999."
    return decay, ""


def scaling_note(
    recipes: "Sequence[Recipe]",
    rates: Sequence[float],
    batch_size: int | None,
    accumulate: int,
    devices: int | str,
    machine: Machine | None = None,
) -> str:
    """Say what the linear rule makes of the learning rates."""
    from lightning_modules.recipes import scale_learning_rate

    number = devices if isinstance(devices, int) else (machine or describe_machine()).num_devices
    changes = []
    for recipe in recipes:
        images = (batch_size or recipe.batch_size) * accumulate * number
        for rate in rates or (recipe.learning_rate,):
            scaled = scale_learning_rate(replace(recipe, learning_rate=rate), images).learning_rate
            changes.append(f"{rate:g} × {images} / {recipe.batch_size} = {scaled:g}")
    rule = "Linear rule (Goyal 2017, for SGD): learning rate × images of a step / the recipe's batch."
    return f"{rule} {fields.join(dict.fromkeys(changes))}." if changes else rule
