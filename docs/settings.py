"""Write the list of all settings of a training job: ``python -m docs.settings``."""

from pathlib import Path

from jobs.submission.settings import SETTINGS, Setting

FILE = Path(__file__).with_suffix(".md")
HEAD = """\
# The settings of a training job

Options of `python -m jobs submit` and `python -m jobs check`, with their places in a run's YAML. This list is
made by `python -m docs.settings` from the table in
[jobs/submission/settings.py](../jobs/submission/settings.py).

| option | in the YAML | by default | what it is |
|---|---|---|---|
"""


def write() -> str:
    """Return the list as Markdown."""
    return HEAD + "".join(map(row, SETTINGS))


def row(one: Setting) -> str:
    """Return the line of a setting."""
    default = f"`{one.shown_default}`" if one.shown_default else ""
    place = f"`{one.place}`" if one.place else ""
    return f"| `--{one.name}` | {place} | {default} | {one.help} |\n"


if __name__ == "__main__":
    FILE.write_text(write(), encoding="utf-8")
