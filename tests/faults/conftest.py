"""The fixtures of the tests of jobs and of training: real stores, supervisors and training processes."""

from tests.jobs.conftest import Bench, bench, benches, store
from tests.training.conftest import Arena, arena

__all__ = ["Arena", "Bench", "arena", "bench", "benches", "store"]
