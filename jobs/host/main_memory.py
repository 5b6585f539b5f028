"""The main memory of the machine, or the limit of the container."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

MEMBERSHIP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# For each controller named in a line of the membership file (none in version 2 of control groups): the
# subfolder, and the names of the limit, of the memory in use, and of its reclaimable part. See `cgroup-v2`
# and `cgroup-v1/memory` in the kernel's admin guide.
VERSIONS: Mapping[str, tuple[str, str, str, str]] = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


@dataclass(frozen=True)
class Memory:
    """The size of the memory, and how much of it is in use."""

    total_bytes: int
    used_bytes: int


def read_memory(membership: Path = MEMBERSHIP, groups: Path = GROUPS) -> Memory:
    """Return the current memory, under the lowest limit that applies to this process.

    Args:
        membership: The file that names the control groups of this process.
        groups: The folder of all control groups.
    """
    memory = psutil.virtual_memory()
    machine = Memory(memory.total, memory.total - memory.available)
    limits = [limit for limit in _limits(membership, groups) if limit.total_bytes < machine.total_bytes]
    return min(limits, key=lambda limit: limit.total_bytes, default=machine)


def _limits(membership: Path, groups: Path) -> Iterator[Memory]:
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        for version in set(controllers.split(",")) & set(VERSIONS):
            folder, limit, used, spare = VERSIONS[version]
            # A limit applies to all groups below. In a container, the path may be that of the host.
            group = groups / folder / path.lstrip("/")
            for ancestor in (group, *group.parents):
                if ancestor.is_relative_to(groups) and (found := _number(ancestor / limit)) is not None:
                    kept = (_number(ancestor / used) or 0) - _spare(ancestor / "memory.stat", spare)
                    yield Memory(found, max(0, kept))


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # `max` means no limit


def _spare(file: Path, name: str) -> int:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
