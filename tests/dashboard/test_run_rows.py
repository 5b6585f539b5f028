"""What a row says of a run."""

import pytest

from dashboard.runs.rows import span_text
from jobs.scheduling.forecast import UNKNOWN, Span


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (UNKNOWN, ""),
        (Span(0, None), "next"),
        (Span(0, 90), "next, for 1 min 30 s"),
        (Span(720, None), "in 12 min"),
        (Span(720, 900), "in 12 min, for 3 min"),
    ],
)
def test_a_queued_run_says_when(span: Span, text: str) -> None:
    assert span_text(span) == text
