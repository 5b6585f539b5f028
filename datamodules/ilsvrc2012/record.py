"""What has been unpacked in a folder, kept in the folder itself."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.downloads.archives import measure

FILE = ".prepared.json"


@dataclass
class Record:
    """What has been done in a folder.

    Attributes:
        file: Where it is kept.
        is_complete: Whether nothing is left to do.
        checked: Archives whose MD5 was right: size and time of change by path.
        folders: Number and bytes of the files by folder, such as ``train/n01440764``.
    """

    file: Path
    is_complete: bool = False
    checked: dict[str, list[int]] = field(default_factory=dict)
    folders: dict[str, list[int]] = field(default_factory=dict)

    def write(self) -> None:
        """Keeps it."""
        temporary = self.file.with_name(f"{self.file.name}.part")
        kept: dict[str, Any] = {"is_complete": self.is_complete, "checked": self.checked}
        temporary.write_text(json.dumps(kept | {"folders": self.folders}), encoding="utf-8")
        temporary.replace(self.file)

    def holds(self, folder: str) -> bool:
        """Whether a folder was unpacked and is still as it was."""
        return self.folders.get(folder) == list(measure(self.file.parent / folder))


def read_record(root: Path) -> Record | None:
    """Returns what was done in a folder; None where nothing was, or nobody knows."""
    try:
        record = Record(root / FILE, **json.loads((root / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if isinstance(record.checked, dict) and isinstance(record.folders, dict) else None
