"""What the README names is there: its commands are understood, the files of its tree and its links exist."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = ("datamodules", "jobs", "lightning_modules")


def commands() -> list[tuple[str, str]]:
    """Each `python -m MODULE WORDS` of the README's blocks, joined where a line goes on."""
    modules = "|".join(MODULES)
    pattern = rf"^\.venv/bin/python -m ({modules}) (.+)$"
    return re.findall(pattern, TEXT.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.parametrize(("module", "words"), commands())
def test_the_commands_are_understood(module: str, words: str) -> None:
    parser = import_module(f"{module}.__main__").build_parser()
    assert parser.parse_args(shlex.split(words, comments=True))


def test_commands_of_every_module_are_shown() -> None:
    assert {module for module, _ in commands()} == set(MODULES)


def test_the_files_of_the_tree_exist() -> None:
    tree = TEXT.split("## The tree\n\n```\n")[1].split("```")[0]
    missing, folder, count = [], "", 0
    for line in tree.splitlines():
        folder = folder if line.startswith(" ") else line.split("/")[0]
        names = re.findall(r"[a-z_0-9]+(?:/[a-z_0-9]+)*(?:\.py|\.md|/)", line)
        for name in names:
            if not ((ROOT / name).exists() or any((ROOT / folder).rglob(name.rstrip("/")))):
                missing.append(name)
        count += len(names)
    assert missing == [] and count > 50


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", TEXT)
    assert len(links) > 7 and [link for link in links if not (ROOT / link).is_file()] == []
    headings = {
        line.lstrip("# ").lower().replace(" ", "-") for line in TEXT.splitlines() if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
