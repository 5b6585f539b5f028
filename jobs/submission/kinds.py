"""The kinds of values of settings: how they are read from text, written back, and limited."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.subset import parse_classes, write_classes
from jobs.engines.slurm_options import parse_extra, write_extra
from jobs.problems import BadValue
from problems import InvalidValue


@dataclass(frozen=True)
class Kind:
    """Text, the base of all other kinds.

    Attributes:
        wanted: A description of valid values that completes the sentence "... is not ...".
    """

    wanted: str = field(default="some text", kw_only=True)

    def parse(self, text: str) -> Any:
        """Read a value. Raises InvalidValue if the text is not a valid value."""
        return text

    def write(self, value: Any) -> str:
        """Write a value in the form that `parse` reads."""
        return str(value)

    def reject(self, text: str) -> InvalidValue:
        """Return the error for a text that is not a valid value."""
        return InvalidValue(BadValue.NOT_OF_KIND, text=text, wanted=self.wanted)


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number; the form limits it to the range from lowest to highest."""

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
    """A number from the lowest to the highest; both are excluded if the interval is open."""

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
        """Write a number with all digits."""
        return repr(value) if value != int(value) else f"{value:g}"


@dataclass(frozen=True)
class Switch(Kind):
    """On or off."""

    wanted: str = field(default="yes or no", kw_only=True)


@dataclass(frozen=True)
class File(Kind):
    """A file; text that is not the name of a file, such as the name of a run, is kept unchanged."""

    wanted: str = field(default="a file", kw_only=True)

    def parse(self, text: str) -> str:
        """Return the absolute path, which is valid for a process in another folder."""
        return str(Path(text).absolute()) if Path(text).is_file() else text


@dataclass(frozen=True)
class Several(Kind):
    """Values of another kind, separated by commas."""

    of: Kind = Kind()

    def parse(self, text: str) -> tuple[Any, ...]:
        """Read the values, each of which must be given once."""
        values: list[Any] = []
        for word in filter(None, map(str.strip, text.split(","))):
            value = self.of.parse(word)
            if value in values:
                raise InvalidValue(BadValue.REPEATED, value=word)
            values.append(value)
        return tuple(values)

    def write(self, value: Any) -> str:
        """Write several values, or the single value of a job."""
        return ",".join(map(self.of.write, value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True)
class Devices(Whole):
    """A number of devices, or "auto" for all."""

    wanted: str = field(default="a number of devices, or auto for all", kw_only=True)

    def parse(self, text: str) -> int | str:  # type: ignore[override]
        """Read a number, or "auto"."""
        return text if text == "auto" else super().parse(text)


@dataclass(frozen=True)
class Classes(Kind):
    """A number of classes, or their names or labels."""

    wanted: str = field(default="a number of classes, or their names", kw_only=True)

    def parse(self, text: str) -> int | tuple[int | str, ...] | None:
        """Read the classes; see `datamodules.subset`."""
        return parse_classes(text)

    def write(self, value: Any) -> str:
        """Write the classes."""
        return write_classes(value)


@dataclass(frozen=True)
class BatchOptions(Kind):
    """Options of sbatch, as NAME=VALUE."""

    wanted: str = field(default="NAME=VALUE, separated by spaces", kw_only=True)

    def parse(self, text: str) -> dict[str, str]:
        """Read the options; see `jobs.engines.slurm_options`."""
        return parse_extra(text)

    def write(self, value: Mapping[str, str]) -> str:
        """Write the options."""
        return write_extra(value)
