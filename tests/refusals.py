"""What a user can put right is told by its code and its values; how the sentence reads is not tested."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from problems import Code, Problem


@contextmanager
def refused(code: Code, **values: Any) -> Iterator[pytest.ExceptionInfo[Problem]]:
    """Expect a problem of this code with at least these values."""
    with pytest.raises(Problem) as caught:
        yield caught
    assert caught.value.code is code, str(caught.value)
    assert values.items() <= caught.value.values.items(), str(caught.value)
