"""What the value of a setting can be: how it is read from text, written back, and bounded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.subset import parse_classes, write_classes
from jobs.engines.slurm_options import parse_extra, write_extra


@dataclass(frozen=True)
class Kind:
    """Text, the simplest kind; the others say what else a value has to be.

    Attributes:
        wanted: What it must be, as the end of a sentence.
    """

    wanted: str = field(default="some text", kw_only=True)

    def parse(self, text: str) -> Any:
        """Read a value. Raises ValueError when the text is none, in one sentence."""
        return text

    def write(self, value: Any) -> str:
        """Write a value so that `parse` reads the same."""
        return str(value)

    def reject(self, text: str) -> ValueError:
        """Return the error that says what a text is not."""
        return ValueError(f"{text!r} is not {self.wanted}.")


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number; the form offers those from the lowest to the highest."""

    lowest: int = 0
    highest: int = 2**31 - 1
    wanted: str = field(default="a whole number", kw_only=True)

    def parse(self, text: str) -> int:
        """Read a number."""
        try:
            return int(text)
        except ValueError:
            raise self.reject(text) from None


@dataclass(frozen=True)
class Real(Kind):
    """A number from the lowest to the highest, these two excluded if it is open."""

    lowest: float = -math.inf
    highest: float = math.inf
    is_open: bool = False
    wanted: str = field(default="a number", kw_only=True)

    def parse(self, text: str) -> float:
        """Read a number."""
        try:
            value = float(text)
        except ValueError:
            raise self.reject(text) from None
        inside = self.lowest < value < self.highest if self.is_open else self.lowest <= value <= self.highest
        if not inside or math.isinf(value):
            raise self.reject(text)
        return value

    def write(self, value: float) -> str:
        """Write a number with all its digits."""
        return repr(value) if value != int(value) else f"{value:g}"


@dataclass(frozen=True)
class Switch(Kind):
    """On or off."""

    wanted: str = field(default="yes or no", kw_only=True)


@dataclass(frozen=True)
class File(Kind):
    """A file; what is none, such as the name of a run, stays as it is."""

    wanted: str = field(default="a file", kw_only=True)

    def parse(self, text: str) -> str:
        """Name the same file for a process that works in another folder."""
        return str(Path(text).absolute()) if Path(text).is_file() else text


@dataclass(frozen=True)
class Several(Kind):
    """Values of another kind, separated by commas."""

    of: Kind = Kind()

    def parse(self, text: str) -> tuple[Any, ...]:
        """Read them, each once."""
        values: list[Any] = []
        for word in filter(None, map(str.strip, text.split(","))):
            value = self.of.parse(word)
            if value in values:
                raise ValueError(f"{word} is named twice; name it once.")
            values.append(value)
        return tuple(values)

    def write(self, value: Any) -> str:
        """Write them, or the one that a job has of them."""
        return ",".join(map(self.of.write, value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True)
class Devices(Whole):
    """A number of devices, or all there are."""

    wanted: str = field(default="a number of devices, or auto for all", kw_only=True)

    def parse(self, text: str) -> int | str:  # type: ignore[override]
        """Read a number, or "auto"."""
        return text if text == "auto" else super().parse(text)


@dataclass(frozen=True)
class Classes(Kind):
    """The first so many classes, or their names or labels."""

    wanted: str = field(default="a number of classes, or their names", kw_only=True)

    def parse(self, text: str) -> int | tuple[int | str, ...] | None:
        """Read them; see `datamodules.subset`."""
        return parse_classes(text)

    def write(self, value: Any) -> str:
        """Write them."""
        return write_classes(value)


@dataclass(frozen=True)
class BatchOptions(Kind):
    """Options of sbatch, as NAME=VALUE."""

    wanted: str = field(default="NAME=VALUE, separated by blanks", kw_only=True)

    def parse(self, text: str) -> dict[str, str]:
        """Read them; see `jobs.engines.slurm_options`."""
        return parse_extra(text)

    def write(self, value: Mapping[str, str]) -> str:
        """Write them."""
        return write_extra(value)
