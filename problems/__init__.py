"""What a user can put right: an error with a code, its values, and the sentence made of both.

Code decides by the code and the values; only people read the sentence. The sentences of a package stand
together in an enum, so that they can be reworded, and one day translated, in one place.
"""

from enum import Enum
from typing import Any


class Code(Enum):
    """What went wrong. Its value is the sentence, with the names of the values in braces."""


class Problem(Exception):
    """An error that one sentence explains: what is wrong, and what would be right.

    Args:
        code: What went wrong; or a sentence alone, where another process has raised the error.
        **values: For the sentence.
    """

    def __init__(self, code: Code | str, **values: Any) -> None:
        self.code = code if isinstance(code, Code) else None
        self.values = values
        super().__init__(code if isinstance(code, str) else str(code.value).format_map(values))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.code or str(self), self.values)


class InvalidValue(Problem, ValueError):
    """A value that cannot be meant: an argument, an option, a field, a line of a file."""


def _restore(kind: type[Problem], code: Code | str, values: dict[str, Any]) -> Problem:
    return kind(code, **values)
