"""What happens now on the Runs page: the machine's devices, the jobs on them, and when the others follow."""

from collections.abc import Sequence

import streamlit as st

from dashboard.runs.board import Board, read_board
from dashboard.runs.rows import show_active, show_others
from dashboard.runs.timeline import left_out, timeline
from dashboard.widgets import formatting
from dashboard.workplace import open_store
from jobs.host.gpus import Load
from jobs.host.load import read_loads
from jobs.host.machine import describe_machine
from jobs.host.slots import slots_of

LOAD_TTL_S = 1.5


def show_now() -> Sequence[tuple[str, str]]:
    """Show devices, jobs, forecast and what others do, and return the jobs' state.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    board = read_board(open_store())
    if board.is_active:
        show_loads(board)
    state = show_active()
    if board.is_active:
        show_timeline(board)
    show_others(board)
    return state


def show_loads(board: Board) -> None:
    """Show a line for the processor and each GPU: load, memory, temperature, and who is on it."""
    machine = describe_machine()
    names = {gpu.slot: f"{gpu.name} ({gpu.key})" for gpu in machine.gpus}
    on = {slot: run.name for run in board.running for slot in slots_of(run)}
    with st.container(key="loads", gap="xxsmall"):
        for load in read_loads_briefly():
            who = on.get(load.slot, "free") if load.slot else ""
            st.markdown(load_text(names.get(load.slot, "Processor"), load, who))


def load_text(name: str, load: Load, who: str) -> str:
    """Write a device in one line: `Processor · load 93 % · 5.2 of 23 GB · 61 °C`."""
    parts = [f"**{formatting.plain(name)}**"]
    if load.busy is not None:
        parts.append(f"load {load.busy:.0%}".replace("%", " %"))
    if load.used_bytes is not None and load.memory_bytes:
        parts.append(f"{formatting.size(load.used_bytes)} of {formatting.size(load.memory_bytes)}")
    if load.temperature_c is not None:
        parts.append(f"{load.temperature_c:.0f} °C")
    if who:
        parts.append(formatting.plain(who))
    return f":small[:material/memory: {' · '.join(parts)}]"


@st.cache_data(ttl=LOAD_TTL_S, show_spinner=False)
def read_loads_briefly() -> list[Load]:
    """Look at the devices, once for everybody who looks at this page."""
    return read_loads(describe_machine())


def show_timeline(board: Board) -> None:
    """Show the forecast, where there is something that waits and something that was measured."""
    if not board.queued:
        return
    machine = describe_machine()
    spans = board.forecast(machine)
    drawn = timeline(board.active, spans, machine.slots)
    if not drawn:
        return
    st.html(drawn)
    if rest := left_out(board.active, spans):
        st.caption(rest)
