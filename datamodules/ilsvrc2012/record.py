"""A record of what has been unpacked into a folder, stored in the folder itself."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.downloads.archives import measure

FILE = ".prepared.json"


@dataclass
class Record:
    """What has been unpacked into a folder.

    Attributes:
        file: File of the record.
        is_complete: Whether everything has been unpacked.
        checked: Size and modification time of archives with the right MD5, by path.
        folders: Number and total bytes of the files in each folder, such as ``train/n01440764``.
    """

    file: Path
    is_complete: bool = False
    checked: dict[str, list[int]] = field(default_factory=dict)
    folders: dict[str, list[int]] = field(default_factory=dict)

    def write(self) -> None:
        """Write the record to its file."""
        temporary = self.file.with_name(f"{self.file.name}.part")
        kept: dict[str, Any] = {"is_complete": self.is_complete, "checked": self.checked}
        temporary.write_text(json.dumps(kept | {"folders": self.folders}), encoding="utf-8")
        temporary.replace(self.file)

    def holds(self, folder: str) -> bool:
        """Return whether a folder was unpacked and is unchanged."""
        return self.folders.get(folder) == list(measure(self.file.parent / folder))


def read_record(root: Path) -> Record | None:
    """Return the record of a folder; None if there is none, or it is damaged."""
    try:
        record = Record(root / FILE, **json.loads((root / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if isinstance(record.checked, dict) and isinstance(record.folders, dict) else None
