"""Runs that belong together: submitted at once, or alike but for the seed; and what they come to."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from tracking.runs import Run

SEED = "seed_everything"
# The tag with the name of the group that a run was submitted in.
GROUP = "job.group"


@dataclass(frozen=True)
class SeedGroup:
    """Runs of one configuration with different seeds, the newest first; those that finished count."""

    runs: tuple[Run, ...]

    @property
    def submitted_together(self) -> bool:
        """Whether all of them belong to one group."""
        names = {run.tags.get(GROUP, "") for run in self.runs}
        return len(names) == 1 and names != {""}

    def values(self, key: str) -> list[float]:
        """Return the last value of a metric in each finished run that has it."""
        return [run.metrics[key] for run in self.runs if run.status == "FINISHED" and key in run.metrics]

    def mean(self, key: str) -> float | None:
        """Return the mean of a metric over the seeds, None without values."""
        values = self.values(key)
        return fmean(values) if values else None

    def spread(self, key: str) -> float | None:
        """Return the standard deviation over seeds (denominator n - 1), None for fewer than two values."""
        values = self.values(key)
        return stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Group:
    """Runs that were submitted at once.

    Attributes:
        name: As it stands in their tag.
        configurations: Their runs, by everything but the seed, in the order of submission.
    """

    name: str
    configurations: tuple[SeedGroup, ...]

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [run for one in self.configurations for run in one.runs]

    def count(self, *statuses: str) -> int:
        """How many runs are in one of the statuses."""
        return sum(run.status in statuses for run in self.runs)

    def differs(self, param: str) -> bool:
        """Whether its runs have several values of a param."""
        return len({run.params.get(param, "") for run in self.runs}) > 1


def groups(runs: Iterable[Run]) -> list[Group]:
    """Find the runs that were submitted together; the newest group comes first.

    Args:
        runs: In any order.
    """
    found: dict[str, dict[frozenset[tuple[str, str]], list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=lambda run: (run.created_at, run.run_id)):
        if name := run.tags.get(GROUP):
            found[name][_without_seed(run)].append(run)
    return [
        Group(name, tuple(SeedGroup(tuple(reversed(one))) for one in by_settings.values()))
        for name, by_settings in reversed(found.items())
    ]


def seed_groups(runs: Iterable[Run]) -> list[SeedGroup]:
    """Find the configurations that finished with two seeds or more; of a repeated seed the newest run counts.

    Args:
        runs: Newest first, as `list_runs` gives them; the groups keep that order.
    """
    by_settings: dict[frozenset[tuple[str, str]], dict[str, Run]] = defaultdict(dict)
    for run in runs:
        if run.status == "FINISHED":
            by_settings[_without_seed(run)].setdefault(run.params.get(SEED, ""), run)
    return [SeedGroup(tuple(found.values())) for found in by_settings.values() if len(found) > 1]


def _without_seed(run: Run) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in run.settings.items() if key != SEED)
