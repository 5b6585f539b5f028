"""What was measured, as JSON and as Markdown tables."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

JSON, MARKDOWN = "results.json", "results.md"


@dataclass(frozen=True)
class Row:
    """One thing that was measured or tried.

    Attributes:
        what: In a few words.
        found: A figure with its unit, or what happened.
        target: What it should be, empty where there is no target.
        ok: Whether it is so; None where there is no target.
    """

    what: str
    found: str
    target: str = ""
    ok: bool | None = None


@dataclass
class Part:
    """What a part of the benchmark has found so far.

    Attributes:
        title: For people.
        state: ``running``, ``done``, ``failed``, ``skipped`` or ``cut off``.
        seconds: It took.
        rows: What it found.
        note: Why it was skipped or failed.
    """

    title: str
    state: str = "running"
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    note: str = ""


class Results:
    """All parts, kept in a folder.

    Args:
        folder: Made if it is not there; what an earlier run has found in it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.parts: dict[str, Part] = {}
        if (folder / JSON).exists():
            found: dict[str, Any] = json.loads((folder / JSON).read_text(encoding="utf-8"))
            for name, part in found.items():
                self.parts[name] = Part(**{**part, "rows": [Row(**row) for row in part["rows"]]})

    def is_done(self, name: str) -> bool:
        """Return whether a part was finished, here or by an earlier run."""
        return name in self.parts and self.parts[name].state == "done"

    def write(self) -> None:
        """Write both files."""
        content = {name: asdict(part) for name, part in self.parts.items()}
        (self.folder / JSON).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        tables = "\n".join(table(part) for part in self.parts.values())
        (self.folder / MARKDOWN).write_text(tables, encoding="utf-8")


def table(part: Part) -> str:
    """Return a part as a Markdown table under its title."""
    marks = {True: "yes", False: "**no**", None: ""}
    lines = [f"**{part.title}** ({part.state}, {part.seconds:.0f} s)", ""]
    if part.note:
        lines += [part.note, ""]
    if part.rows:
        lines += ["| | found | target | met |", "|---|---|---|---|"]
        lines += [f"| {row.what} | {row.found} | {row.target} | {marks[row.ok]} |" for row in part.rows]
    return "\n".join([*lines, ""])
