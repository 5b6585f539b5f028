"""The pages of the dashboard: one file each in `app_pages/`, found here.

A page says three things about itself in constants at its top: `TITLE`, `ICON` (a Material symbol) and
`ORDER` (pages are listed from small to large). They are read without running the page.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PAGES = Path(__file__).parent / "app_pages"


@dataclass(frozen=True, order=True)
class PageFile:
    """One page: where its file is and how the navigation shows it."""

    order: int
    title: str
    icon: str
    path: Path

    @property
    def url_path(self) -> str:
        """The page's part of the address."""
        return self.path.stem


def read_page(path: Path) -> PageFile:
    """Read what a page's file says about itself.

    Raises:
        ValueError: the file lacks one of the constants.
    """
    constants = dict(_constants(ast.parse(path.read_text(encoding="utf-8"))))
    missing = [name for name in ("TITLE", "ICON", "ORDER") if name not in constants]
    if missing:
        raise ValueError(
            f"The page {path.name} has no {missing[0]}; give it TITLE, ICON and ORDER at its top."
        )
    return PageFile(int(str(constants["ORDER"])), str(constants["TITLE"]), str(constants["ICON"]), path)


@lru_cache
def discover_pages(folder: Path = PAGES) -> tuple[PageFile, ...]:
    """Find every page of a folder, in the order of the navigation."""
    return tuple(sorted(read_page(path) for path in folder.glob("*.py") if not path.name.startswith("_")))


def _constants(module: ast.Module) -> Iterator[tuple[str, object]]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield from (
                (target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name)
            )
