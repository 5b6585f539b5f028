"""Filling in the launch form as a run was launched, and saying what that loses."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
import yaml

from dashboard.launch import fields as forms
from dashboard.launch.form import form_fields
from dashboard.widgets.address import read, visit, write
from dashboard.widgets.formatting import plain
from dashboard.workplace import open_store
from tracking.runs import get_run, read_config

# In the address: the run to fill the form in from. In a visit: its name, and what the form has no room for.
CLONE = "clone"
SECTIONS = ("seed_everything", "trainer", "model", "data", "slurm")
# What the form asks for of Lightning's trainer; it asks for the whole of the other sections.
TRAINER = ("max_epochs", "devices", "precision", "accumulate_grad_batches", "sync_batchnorm")


def take_up_clone() -> None:
    """Fill in the form as the run was launched that the address names, and say what there is no room for.

    Raises:
        ValueError: there is no such run.
        StoreUnavailable: the store cannot be read.
    """
    if run_id := st.query_params.get(CLONE):
        store = open_store()
        text = read_config(store, run_id)
        params = forms.clone_params(text)
        visit()[CLONE] = get_run(store, run_id).name, left_out(yaml.safe_load(text), params)
        st.query_params.from_dict(params)
    name, names = visit().get(CLONE, ("", []))
    if names:
        st.warning(
            f"This form has no room for {plain(forms.join(names))} of {plain(name)}: a launch would leave it "
            "out. To keep it, save the YAML on that run's page as a file and submit it with `--config FILE`.",
            icon=":material/content_copy:",
        )


def left_out(config: Mapping[str, Any], params: Mapping[str, str | list[str]]) -> list[str]:
    """Name the settings of a run that its clone would not have.

    Args:
        config: the run's YAML.
        params: what the form is filled in with.
    """
    trainer = {key: value for key, value in config["trainer"].items() if value is not None}
    asked = {*TRAINER, *(["num_nodes"] if "slurm" in config else [])}
    if trainer.get("accelerator") == "auto":
        asked.add("accelerator")
    fields = form_fields()
    texts = {key: [value] if isinstance(value, str) else value for key, value in params.items()}
    return [
        *(key for key in config if key not in SECTIONS),
        *(f"trainer.{key}" for key in trainer if key not in asked),
        *(
            f"{key} = {', '.join(text)}"
            for key, text in texts.items()
            if key not in fields or write(read(fields[key], text)) != text
        ),
    ]
