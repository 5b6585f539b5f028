"""One entry defines a setting: the README's example in all interfaces, and rules for all entries."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from dashboard.launch.clone import clone_params
from docs.settings import FILE, write
from jobs.__main__ import build_parser, main
from jobs.submission import kinds
from jobs.submission.arguments import spec_from
from jobs.submission.kinds import Switch
from jobs.submission.settings import SETTINGS, Setting
from jobs.submission.spec import JobSpec
from tests.dashboard.conftest import APP
from tracking.layout import REPOSITORY
from training.config_check import check_config


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Setting:
    """The README's entry, at the end of the table."""
    section = (REPOSITORY / "README.md").read_text(encoding="utf-8").split("## Add a setting")[1]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    entry: Setting = eval(code, vars(kinds) | {"Setting": Setting})
    for name, module in list(sys.modules.items()):
        if name.startswith(("jobs.", "dashboard.")) and getattr(module, "SETTINGS", None) is SETTINGS:
            monkeypatch.setattr(module, "SETTINGS", (*SETTINGS, entry))
    return entry


def test_from_the_shell_into_the_yaml_and_back(example: Setting) -> None:
    options = build_parser().parse_args(["submit", "resnet18", "--gradient-clip-val", "0.5"])
    spec = spec_from(options)
    (config,) = spec.configs()
    assert config["trainer"]["gradient_clip_val"] == 0.5
    check_config(config)
    assert spec.command().endswith("submit resnet18 --gradient_clip_val 0.5")
    assert clone_params(config)["gradient_clip_val"] == "0.5"
    assert "gradient_clip_val" not in str(JobSpec(("resnet18",)).configs())


def test_its_help_and_its_error(example: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert " ".join(example.help.split()) in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["check", "resnet18", "--gradient_clip_val", "0"])
    assert "'0' is not a number above 0, such as 1.0.\n" in capsys.readouterr().err


def test_on_the_form_and_in_its_address(
    example: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_MLRUNS", str(tmp_path))
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.query_params.update(networks="resnet18", gradient_clip_val="0.5")
    app.switch_page("app_pages/launch.py").run()
    field = app.text_input(key="gradient_clip_val")
    assert (field.label, field.value, field.placeholder) == ("Gradient clipping", "0.5", "none")
    command, text = (code.value for code in app.code)
    assert "--gradient_clip_val 0.5" in command
    assert yaml.safe_load(text)["trainer"]["gradient_clip_val"] == 0.5
    field.set_value("-1").run()
    assert any("'-1' is not a number above 0, such as 1.0." in one.value for one in app.markdown)
    assert "-1" in app.query_params["gradient_clip_val"]


@pytest.mark.parametrize("one", SETTINGS, ids=lambda one: one.name)
def test_every_entry_says_what_it_is(one: Setting) -> None:
    assert one.help and (one.label or not one.panel), "who reads the form or --help has to know"
    assert one.place or one.name == "num_seeds"
    if isinstance(one.kind, Switch):
        assert one.default is False
    elif one.default is not None:
        assert one.kind.parse(one.kind.write(one.default)) == one.default


def test_the_list_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == write(), "run python -m docs.settings"
