"""Numbers, times and words as people read them."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

UNIT = re.compile(r"(?<=\d) (?=%|(?:px|[kMG]B)\b)")
MARKUP = re.compile(r"[\\`*_{}\[\]<>#|$~:]")

NOTHING = "–"  # noqa: RUF001 - an en dash stands for "no value yet"


@dataclass(frozen=True)
class Status:
    """How a run's status is shown: never by colour alone."""

    word: str
    icon: str
    colour: str

    @property
    def badge(self) -> str:
        """The status as Streamlit's inline badge."""
        return f":{self.colour}-badge[{self.icon} {self.word}]"


STATUSES: Mapping[str, Status] = {
    "SCHEDULED": Status("Queued", ":material/schedule:", "gray"),
    "RUNNING": Status("Running", ":material/play_arrow:", "blue"),
    "FINISHED": Status("Finished", ":material/check:", "green"),
    "FAILED": Status("Failed", ":material/error:", "red"),
    "KILLED": Status("Stopped", ":material/stop_circle:", "orange"),
}

METRIC_NAMES: Mapping[str, str] = {
    "error_top1": "top-1 error",
    "error_top5": "top-5 error",
    "loss": "loss",
    "images_per_s": "images/s",
    "scaling_efficiency": "scaling efficiency",
    "learning_rate": "learning rate",
    "data_wait": "waiting for images",
}


def status_of(word: str) -> Status:
    """Return the status of MLflow's word, readable even for one that is new."""
    return STATUSES.get(word, Status(word.capitalize(), ":material/help:", "gray"))


def short_count(number: float | None) -> str:
    """Write a large count short: 60,965,224 becomes `61.0 M`."""
    if number is None:
        return NOTHING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.{_decimals(number / size)}f} {letter}"
    return f"{number:.0f}"


def exact_count(number: int | None) -> str:
    """Write a count with every digit: `60,965,224`."""
    return NOTHING if number is None else f"{number:,}"


def percent(value: float | None) -> str:
    """Write an error or another share: `5.6 %`."""
    return NOTHING if value is None or value != value else f"{value:.1f} %"


def rate(value: float | None) -> str:
    """Write images per second with as many digits as carry meaning."""
    return NOTHING if value is None or value != value else f"{value:,.{0 if value >= 100 else 1}f} images/s"


def duration(seconds: float | None) -> str:
    """Write a time span by its two largest units: `2 min 5 s`."""
    if seconds is None or seconds != seconds:
        return NOTHING
    whole = max(0, round(seconds))
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next((index for index, (_, count) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for unit, count in units[first : first + 2] if count or first == 3)


def epochs(done: float | None, total: int | None) -> str:
    """Write how many epochs are done of how many: `2.4 / 5`."""
    if done is None or total is None:
        return NOTHING
    return f"{min(done, total):.{0 if done == int(done) else 1}f} / {total}"


def ago(moment: float | None, now: float | None = None) -> str:
    """Write how long ago a moment was, by its largest unit: `5 min ago`."""
    if moment is None:
        return NOTHING
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    if seconds < 5:
        return "just now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def clock(moment: float | None) -> str:
    """Write a moment in local time: `24 Nov 2026, 14:05`."""
    return NOTHING if moment is None else time.strftime("%-d %b %Y, %H:%M", time.localtime(moment))


def size(num_bytes: float | None) -> str:
    """Write an amount of memory: `24 GB`."""
    if num_bytes is None:
        return NOTHING
    for unit_size, unit in ((2**30, "GB"), (2**20, "MB"), (2**10, "kB")):
        if num_bytes >= unit_size:
            return f"{num_bytes / unit_size:.0f} {unit}"
    return f"{num_bytes:.0f} bytes"


def plural(count: int, word: str) -> str:
    """Write a count with its noun: `1 run`, `2,000 runs`."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def metric_name(name: str) -> str:
    """Write a metric's name without its split: `error_top1` becomes `top-1 error`."""
    return METRIC_NAMES.get(name, name.replace("_", " "))


def plain(text: str) -> str:
    """Write what a person or a program named so that none of its characters is taken for markup."""
    return MARKUP.sub(r"\\\g<0>", text).replace("\n", " ")


def unbroken(text: str) -> str:
    """Keep numbers and their units on one line."""
    return UNIT.sub("\u00a0", text)


def _decimals(value: float) -> int:
    return 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
