"""The table at the end of the test report: each injected fault, what is expected, and what was observed.

A test is listed with `@pytest.mark.fault("the fault", "what is expected")`, in any file, and
reports what it observed with the fixture `observed`. This also works with the workers of xdist.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence

import pytest

HEADINGS = ("Fault", "Expected", "Observed")
WIDTHS = (34, 44, 50)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(what, expected): a line in the table of faults")


def pytest_itemcollected(item: pytest.Item) -> None:
    for mark in item.iter_markers("fault"):
        item.user_properties.append(("fault", list(mark.args)))


@pytest.fixture
def observed(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """A function with which a test reports what it has observed."""
    return lambda text: record_property("observed", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = sorted(set(read_rows(terminalreporter)))
    if not rows:
        return
    terminalreporter.write_sep("=", f"{len(rows)} faults")
    for line in draw((HEADINGS, *rows)):
        terminalreporter.write_line(line)


def read_rows(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    """Yield a row for each test of a fault."""
    for outcome in ("passed", "skipped", "failed", "error"):
        for report in reporter.stats.get(outcome, ()):
            if outcome == "passed" and report.when != "call":
                continue
            properties = list(getattr(report, "user_properties", ()))
            seen = dict(properties).get("observed", "as expected") if outcome == "passed" else outcome.upper()
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                seen = f"not tried: {report.longrepr[2].removeprefix('Skipped: ')}"
            for name, value in properties:
                if name == "fault":
                    yield (*value, seen)


def draw(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with wrapped cells."""
    for row in rows:
        cells = [textwrap.wrap(cell, width) for cell, width in zip(row, WIDTHS, strict=True)]
        for place in range(max(map(len, cells))):
            parts = [cell[place] if place < len(cell) else "" for cell in cells]
            yield "  ".join(part.ljust(width) for part, width in zip(parts, WIDTHS, strict=True)).rstrip()
        if row is HEADINGS:
            yield "  ".join("-" * width for width in WIDTHS)
