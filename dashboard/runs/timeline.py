"""When jobs will run, slot by slot, as HTML: what is running, and the queue as it is expected."""

from collections.abc import Mapping, Sequence
from html import escape

from dashboard.widgets import formatting, palette
from dashboard.widgets.stacked_bars import ticks
from jobs.host.slots import kind_of
from jobs.scheduling.forecast import Span
from tracking.runs import Run

DEVICES: Mapping[str, str] = {"cpu": "Processor", "mps": "Apple's GPU"}
# Seconds of each unit of the axis, and from how many of the smaller one on it is used.
UNITS: Sequence[tuple[float, str]] = ((1, "s"), (60, "min"), (3600, "h"), (86400, "days"))
READABLE = 120
# Letters of a GPU's name that is a UUID.
MAX_KEY = 12
# A bar narrower than this, in percent of the axis, has no room for its name.
NARROW = 9.0
# How much of the axis a job without a known end takes.
OPEN = 0.25


def timeline(runs: Sequence[Run], spans: Mapping[str, Span], slots: Sequence[str]) -> str:
    """Draw a line for each slot with the jobs that it has and will have; nothing where no end is known.

    Args:
        runs: running and queued ones.
        spans: of each of them, by id.
        slots: from the top.
    """
    ends = [span.end_s for span in spans.values() if span.end_s]
    starts = [span.start_s for span in spans.values() if span.start_s is not None]
    if not ends:
        return ""
    end_s = max(*ends, max(starts) / (1 - OPEN))
    colours = palette.pick_colours(run.architecture for run in runs)
    rows = []
    for slot in slots:
        bars = "".join(
            _bar(run, spans[run.run_id], end_s, colours[run.architecture])
            for run in runs
            if slot in spans[run.run_id].slots
        )
        if not bars and slot != slots[0] and kind_of(slot) == "cpu":
            continue  # beside GPUs, few train on the processor
        rows.append(f"<dt>{escape(slot_name(slot))}</dt><dd>{bars}</dd>")
    seconds, unit = _unit(end_s)
    marks = "".join(
        f'<span style="left:{100 * tick * seconds / end_s:.2f}%">{tick:g}</span>'
        for tick in ticks(end_s / seconds)
    )
    return (
        f'<figure class="timeline"><dl>{"".join(rows)}<dt></dt><dd class="axis">{marks}</dd></dl>'
        f"<figcaption>{unit} from now</figcaption></figure>"
    )


def slot_name(slot: str) -> str:
    """Describe where a job runs: `cuda:0` becomes `GPU 0`."""
    device, _, key = slot.partition(":")
    if device == "cuda":
        return f"GPU {key}" if len(key) <= MAX_KEY else f"GPU {key[:MAX_KEY]}…"
    return DEVICES.get(device, slot)


def left_out(runs: Sequence[Run], spans: Mapping[str, Span]) -> str:
    """Describe how many jobs have no place on the timeline, and why."""
    count = sum(spans[run.run_id].start_s is None for run in runs)
    if not count:
        return ""
    jobs = formatting.plural(count, "more job")
    return f"Not shown: {jobs}, held, or behind one that has never been measured here."


def _bar(run: Run, span: Span, end_s: float, colour: str) -> str:
    start_s = span.start_s or 0.0
    is_open = span.end_s is None
    left = 100 * start_s / end_s
    width = 100 - left if span.end_s is None else 100 * (span.end_s - start_s) / end_s
    ends = "end unknown" if span.end_s is None else f"until in {formatting.duration(span.end_s)}"
    begins = "running" if run.status == "RUNNING" else f"starts in {formatting.duration(start_s)}"
    detail = escape(f"{run.name}\n{begins}, {ends}", quote=True)
    name = escape(run.name) if width > NARROW else ""
    kind = ("now" if run.status == "RUNNING" else "later") + (" open" if is_open else "")
    return (
        f'<span class="{kind}" title="{detail}" '
        f'style="left:{left:.2f}%;width:{width:.2f}%;--colour:{colour}">{name}</span>'
    )


def _unit(end_s: float) -> tuple[float, str]:
    return next(((size, unit) for size, unit in UNITS if end_s / size <= READABLE), UNITS[-1])
