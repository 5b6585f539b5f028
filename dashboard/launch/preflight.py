"""Before launching: whether the jobs can work here, with a button that corrects a batch that does not fit."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.launch.form import Form
from dashboard.runs.board import read_board
from dashboard.widgets import formatting
from dashboard.workplace import open_store
from jobs.host.machine import describe_machine
from jobs.preflight.fitting import Remedy
from jobs.preflight.questions import (
    Answer,
    check_disk,
    check_gpu,
    check_memory,
    check_size,
    check_time,
    check_trial,
)
from jobs.preflight.trials import Trial

Config = Mapping[str, Any]

MARKS: Mapping[bool | None, str] = {
    True: ":green[:material/check:]",
    False: ":red[:material/error:]",
    None: ":gray[:material/help:]",
}

# What trials have shown since the dashboard began: they take long, and a reload must not lose it.
TRIED: dict[str, tuple[Answer, Trial | None]] = {}


def answer(form: Form) -> list[Answer]:
    """Ask what can be asked of a complete form without training.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    machine, configs, store = describe_machine(), form.spec.configs(), open_store()
    first = form.spec.configurations()
    num_classes = form.num_classes or 1000
    anywhere = [Answer("Data", True, f"{form.images}."), check_size(first)]
    if form.spec.cluster is not None:  # how the cluster's machines are is not known here
        return anywhere
    board = read_board(store)
    return [
        *anywhere,
        *check_gpu(first, machine),
        *check_memory(first, num_classes, machine, board.active),
        check_disk(store, configs, num_classes, machine),
        *(shown for shown, _ in _trials(first)),
        check_time(configs, machine, [*board.active, *board.done], expected_s(configs)),
    ]


def expected_s(configs: Sequence[Config]) -> list[float | None]:
    """Describe what the trials have shown that each job will take."""
    found = [TRIED.get(key_of(config), (None, None))[1] for config in configs]
    return [trial.expected_s(config) if trial else None for config, trial in zip(configs, found, strict=True)]


def show_answers(form: Form, answers: Sequence[Answer]) -> None:
    """Show the answers, and what can be done about them.

    Raises:
        LaunchError: a trial cannot be made.
        StoreUnavailable: the store cannot be read.
    """
    with st.container(key="preflight", gap="xsmall"):
        for one in answers:
            text = formatting.unbroken(formatting.plain(one.text))
            st.markdown(f"{MARKS[one.verdict]} **{one.question}** {text}")
            if one.remedy is not None:
                _show_remedy(one)
        if form.spec.cluster is None and st.button(
            "Try 20 steps",
            icon=":material/speed:",
            help="Train twenty real steps of each network on a free device and measure speed and memory; "
            "nothing is recorded",
            key="trial",
        ):
            _try_out(form)
            st.rerun()


def _show_remedy(one: Answer) -> None:
    assert one.remedy is not None
    st.button(
        f"Use batches of {one.remedy.accumulate} × {one.remedy.batch_size}",
        icon=":material/build:",
        on_click=_take,
        args=(one.remedy,),
        key=f"remedy-{one.question}-{one.remedy.batch_size}",
    )


def _take(remedy: Remedy) -> None:
    st.session_state["batch_size"], st.session_state["accumulate"] = remedy.batch_size, remedy.accumulate


def _try_out(form: Form) -> None:
    for config in form.spec.change(learning_rate=()).configurations():
        with st.spinner(f"Training 20 steps of {config['model']['architecture']} …"):
            # Noted before anything is shown: whoever has changed a field meanwhile ends this run of the page.
            TRIED[key_of(config)] = check_trial(
                open_store(), config, form.num_classes or 1000, describe_machine()
            )


def _trials(configs: Sequence[Config]) -> list[tuple[Answer, Trial | None]]:
    return [TRIED[key] for key in dict.fromkeys(map(key_of, configs)) if key in TRIED]


def key_of(config: Config) -> str:
    """Return what decides about speed and memory, as text."""
    free = ("learning_rate", "weights", "max_epochs")
    decisive = [
        {name: value for name, value in config[part].items() if name not in free}
        for part in ("model", "trainer", "data")
    ]
    return json.dumps(decisive, sort_keys=True)
