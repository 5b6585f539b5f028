"""What every part of the benchmark works with: the device, a store, and trainings in children."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.children import value_of
from tracking import records, runs
from tracking.runs import Run
from tracking.store import Store

PROBES = "benchmarks.gpu.probes"
# Where a probe of a training leaves what it has found.
ANSWER = "BENCHMARK_ANSWER"
FIT_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Fit:
    """A training that has ended.

    Attributes:
        code: The exit code of its process.
        run: Its record.
        found: What its probes have found.
    """

    code: int
    run: Run
    found: dict[str, Any]

    @property
    def summary(self) -> str:
        """How it ended, in a few words."""
        return f"{self.run.status}{': ' + self.run.error if self.run.error else ''}"


@dataclass
class Bench:
    """A place to measure in.

    Attributes:
        device: ``cuda`` or ``cpu``; on the latter everything is small.
        folder: For what is made on the way.
        store: Of the trainings.
        log: Gets what they print.
        seconds: That are left for the whole benchmark.
        data: Folders with images that were brought along.
        output: Where what is kept goes.
    """

    device: str
    folder: Path
    store: Store
    log: Path
    seconds: float
    output: Path
    data: list[Path] = field(default_factory=list)

    @property
    def is_small(self) -> bool:
        """Whether there is no GPU, so that a part only shows that it works."""
        return self.device == "cpu"

    def ask(self, question: Callable[[], Any]) -> Any:
        """Return the answer, found in a child: a database that is open must not be taken along by a fork."""
        return value_of(question, self.log)

    def new_run(self) -> str:
        """Return the id of a new record."""
        return str(
            self.ask(lambda: records.create_run(self.store, {"model": {}, "data": {}}, name="benchmark"))
        )

    def read_run(self, run_id: str) -> Run:
        """Return a record."""
        return Run(**self.ask(lambda: asdict(runs.get_run(self.store, run_id))))

    def fit(
        self,
        *arguments: str,
        run_id: str = "",
        probes: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        timeout_s: float = FIT_TIMEOUT_S,
    ) -> Fit:
        """Trains as ``python -m training fit`` does, in a child.

        Args:
            arguments: Of the command line; device, run and probes are added.
            run_id: A run to continue; a new one by default.
            probes: Callbacks of `benchmarks.gpu.probes`.
            environment: Added to that of the child.
            timeout_s: After which it is killed.
        """
        run_id = run_id or self.new_run()
        answer = self.folder / f"{run_id}.answer"
        words = ["--trainer.accelerator", self.device, *arguments, "--run_id", run_id]
        if probes:
            words += ["--trainer.callbacks", json.dumps([f"{PROBES}.{probe}" for probe in probes])]
        added = self.store.environment | {ANSWER: str(answer)} | (environment or {})
        code = value_of(lambda: train(words, added), self.log, timeout_s)
        found = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
        return Fit(code, self.read_run(run_id), found)


def train(words: Sequence[str], environment: dict[str, str]) -> int:
    """Run the training program in this process, which is to end afterwards; return its exit code."""
    from training.__main__ import main

    os.environ.update(environment)
    sys.argv = ["training", "fit", *words]
    return main()


def keep(found: dict[str, Any]) -> None:
    """Leaves what a probe has found, beside what others have."""
    file = Path(os.environ[ANSWER])
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(known | found), encoding="utf-8")
