"""Making a data set faster to read: a pack of smaller images, or LitData's format for streaming."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from dashboard.data.commands import offer
from dashboard.data.data_sets import DataSet
from dashboard.data.job_rows import show_jobs
from dashboard.known_folders import add_folder
from dashboard.widgets.problems import show_problem
from dashboard.workplace import open_store
from datamodules.sources import is_address
from jobs.preflight.allowed_paths import check_place


@dataclass(frozen=True)
class Form:
    """One way to keep images.

    Attributes:
        title: For people.
        caption: What it is good for and what it costs.
        source: The source that reads it.
        command: The first word of the command.
        options: Further words.
    """

    title: str
    caption: str
    source: str
    command: str
    options: tuple[str, ...] = ()


FORMS: Mapping[str, Form] = {
    "jpeg": Form(
        "JPEG, short side 256",
        "Whole pictures, every augmentation works; ImageNet takes about 36 GB",
        *("packed", "pack", ("--form", "jpeg")),
    ),
    "raw": Form(
        "Pixels, center 256 x 256",
        "Nothing is left to decode; for the augmentations light and alexnet; ImageNet takes about 252 GB",
        *("packed", "pack", ("--form", "raw")),
    ),
    "litdata": Form(
        "LitData, files unchanged",
        "For streaming from a folder or an s3:// address, for data larger than a disk",
        *("litdata", "convert"),
    ),
}


def show_packing(data_set: DataSet) -> None:
    """Ask for a form and a place, and start the command.

    Raises:
        ValueError: the list of folders cannot be read.
        LaunchError: the command cannot be started.
        StoreUnavailable: the store cannot be written.
    """
    st.markdown(
        "Images are packed once, and every training after that reads them many times faster. A pack holds "
        "smaller images than the originals, so results may differ slightly; the run records what it was "
        "trained on."
    )
    form = FORMS[
        st.radio(
            "Form",
            list(FORMS),
            format_func=lambda key: FORMS[key].title,
            captions=[form.caption for form in FORMS.values()],
            key="form",
        )
    ]
    takes_address = form.source == "litdata"
    typed = st.text_input(
        "Folder or address to write" if takes_address else "Folder to write",
        placeholder="s3://bucket/images" if takes_address else "/path/to/pack",
        max_chars=1000,
        key="target",
    ).strip()
    target, problem = _find_target(typed, takes_address)
    show_problem(problem)
    words = [form.command, *data_set.words, "--to", target or "DIR", *form.options]
    started = offer("Write it", words, ":material/inventory_2:", disabled=not target)
    if started:
        add_folder(open_store(), form.source, target)
        st.rerun()
    show_jobs(data_set.words, empty="")


def _find_target(typed: str, takes_address: bool) -> tuple[str, str]:
    """Return the place that was typed, or what is wrong with it; neither where nothing was."""
    if not typed or (takes_address and is_address(typed)):
        return typed, ""
    try:
        return str(check_place(typed)), ""
    except ValueError as problem:
        return "", str(problem)
