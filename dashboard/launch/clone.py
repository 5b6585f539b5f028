"""Filling in the launch form as a run was launched, and saying what that loses."""

from collections.abc import Iterator, Mapping
from typing import Any

import streamlit as st
import yaml

from dashboard.launch.fields import EARLIER, PUBLISHED, SLURM, option_key
from dashboard.launch.form import form_fields
from dashboard.launch.wording import join
from dashboard.widgets.address import YES, read, visit, write
from dashboard.widgets.formatting import plain
from dashboard.workplace import open_store
from jobs.submission.settings import SETTINGS
from tracking.runs import get_run, read_config

# In the address: the run to fill the form in from. In a visit: its name, and what the form has no room for.
CLONE = "clone"


def take_up_clone() -> None:
    """Fill in the form as the run was launched that the address names, and say what there is no room for.

    Raises:
        ValueError: there is no such run.
        StoreUnavailable: the store cannot be read.
    """
    if run_id := st.query_params.get(CLONE):
        store = open_store()
        config = yaml.safe_load(read_config(store, run_id))
        params = clone_params(config)
        visit()[CLONE] = get_run(store, run_id).name, left_out(config, params)
        st.query_params.from_dict(params)
    name, names = visit().get(CLONE, ("", []))
    if names:
        st.warning(
            f"This form has no field for {plain(join(names))} of {plain(name)}: a launch would drop "
            "it. To keep it, save the YAML on that run's page as a file and submit it with `--config FILE`.",
            icon=":material/content_copy:",
        )


def clone_params(config: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Turn a run's configuration into the address of a launch form filled in the same way."""
    model = config["model"]
    filled: dict[str, str | list[str]] = {"networks": [model["architecture"]]}
    for one in SETTINGS:
        value = one.find(config)
        if value is True:
            filled[one.name] = YES
        elif value is not None and value is not False and one.name not in ("slurm", "num_seeds"):
            filled[one.name] = one.kind.write(value)
    if "slurm" in config:
        filled["where"] = SLURM
    if "weights" in filled and filled["weights"] != PUBLISHED:
        filled |= {"weights": EARLIER, "checkpoint": filled["weights"]}
    for name, value in (model.get("options") or {}).items():
        filled[option_key(model["architecture"], name)] = str(value)
    return filled


def left_out(config: Mapping[str, Any], params: Mapping[str, str | list[str]]) -> list[str]:
    """Name the settings of a run that its clone would not have.

    Args:
        config: the run's YAML.
        params: what the form is filled in with.
    """
    places = {one.place for one in SETTINGS} | {"model.architecture", "model.options"}
    if config["trainer"].get("accelerator") == "auto":
        places.add("trainer.accelerator")
    if "slurm" not in config:
        places.discard("trainer.num_nodes")
    fields = form_fields()
    texts = {key: [value] if isinstance(value, str) else value for key, value in params.items()}
    return [
        *(place for place in _places(config) if place not in places),
        *(
            f"{key} = {', '.join(text)}"
            for key, text in texts.items()
            if key not in fields or write(read(fields[key], text)) != text
        ),
    ]


def _places(config: Mapping[str, Any]) -> Iterator[str]:
    """Name all places of a YAML that say something."""
    for section, content in config.items():
        if not isinstance(content, Mapping):
            yield section
            continue
        yield from (f"{section}.{key}" for key, value in content.items() if value is not None)
