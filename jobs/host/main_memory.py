"""Main memory for whatever runs here: the machine's, or what a container's limit leaves of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

MEMBERSHIP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# By what a line of the membership names, nothing in the second version of Linux's control groups: where they
# are, the limit, what is used, and what of that the kernel gives back before anything fails. See the kernel's
# admin-guide, `cgroup-v2` and `cgroup-v1/memory`.
VERSIONS: Mapping[str, tuple[str, str, str, str]] = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


@dataclass(frozen=True)
class Memory:
    """How much there is, and how much of it is used."""

    total_bytes: int
    used_bytes: int


def read_memory(membership: Path = MEMBERSHIP, groups: Path = GROUPS) -> Memory:
    """Find the memory at this moment, by the lowest limit that holds for this process.

    Args:
        membership: The file that names the groups of this process.
        groups: The folder of all of them.
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
            # A limit holds for all groups below; in a container the path may be that of the machine outside.
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
    return int(text) if text.isdecimal() else None  # `max` where there is none


def _spare(file: Path, name: str) -> int:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
