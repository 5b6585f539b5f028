"""Runs that differ in nothing but the seed, and what they come to together."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from tracking.runs import Run

SEED = "seed_everything"


@dataclass(frozen=True)
class SeedGroup:
    """Finished runs of one configuration with different seeds, the newest first."""

    runs: tuple[Run, ...]

    def values(self, key: str) -> list[float]:
        """The last value of a metric in each run that has it."""
        return [run.metrics[key] for run in self.runs if key in run.metrics]

    def mean(self, key: str) -> float | None:
        """The mean of a metric over the seeds, None without values."""
        values = self.values(key)
        return fmean(values) if values else None

    def spread(self, key: str) -> float | None:
        """The standard deviation of one seed (n - 1 in the denominator), None for fewer than two values."""
        values = self.values(key)
        return stdev(values) if len(values) > 1 else None


def seed_groups(runs: Iterable[Run]) -> list[SeedGroup]:
    """Find the configurations that finished with two seeds or more; of a repeated seed the newest run counts.

    Args:
        runs: Newest first, as `list_runs` gives them; the groups keep that order.
    """
    by_settings: dict[frozenset[tuple[str, str]], dict[str, Run]] = defaultdict(dict)
    for run in runs:
        if run.status == "FINISHED":
            settings = frozenset((key, value) for key, value in run.settings.items() if key != SEED)
            by_settings[settings].setdefault(run.params.get(SEED, ""), run)
    return [SeedGroup(tuple(found.values())) for found in by_settings.values() if len(found) > 1]
