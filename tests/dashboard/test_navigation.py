"""Pages are files: found, named by themselves, and free of logic."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from dashboard.navigation import PAGES, discover_pages, read_page

DASHBOARD = PAGES.parent
LOGIC = (
    *(ast.For, ast.While, ast.Try, ast.BinOp, ast.FunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def test_pages_come_in_their_order() -> None:
    titles = [page.title for page in discover_pages()]
    assert titles == ["Home", "Launch", "Runs", "Compare", "Architectures", "Data"]


@pytest.mark.parametrize("file", sorted(PAGES.glob("*.py")), ids=lambda file: file.stem)
def test_a_page_holds_widgets_and_calls_only(file: Path) -> None:
    found = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, LOGIC)]
    assert [f"line {node.lineno}: {type(node).__name__}" for node in found] == []


def test_a_new_page_is_found(tmp_path: Path) -> None:
    for name, order in (("second", 2), ("first", 1)):
        text = f'TITLE = "{name}"\nICON = ":material/home:"\nORDER = {order}\nraise SystemExit\n'
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert [page.title for page in discover_pages(tmp_path)] == ["first", "second"]


def test_a_page_without_title_says_so(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text('ICON = ":material/home:"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.py has no TITLE"):
        read_page(tmp_path / "odd.py")


def test_no_room_hides_a_module_of_others() -> None:
    """Streamlit puts `dashboard/` first on `sys.path`."""
    rooms = {path.stem for path in DASHBOARD.iterdir() if path.suffix == ".py" or path.is_dir()}
    ours = {path.name for path in DASHBOARD.parent.iterdir() if (path / "__init__.py").is_file()}
    installed = {name.partition("-")[0].lower() for name in packages_distributions()}
    rooms -= {"__init__", "__main__", "__pycache__"}
    assert len(rooms) > 8 and not rooms & (sys.stdlib_module_names | ours | installed)
