"""The fields of the launch form: what each holds, its part of the address, and its usual widget."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.launch.wording import RECIPES
from dashboard.widgets.address import Field, between, is_yes, one_of
from dashboard.widgets.problems import show_problem
from jobs.submission.kinds import Switch, Whole
from jobs.submission.settings import SETTINGS, Setting, setting, settings_of

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

# Widths in pixels; a text takes the room of two numbers.
NUMBER_WIDTH, TEXT_WIDTH = 200, 430
DEFAULT_NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet18")
AUTO = "auto"

SCRATCH, PUBLISHED, EARLIER = "scratch", "torchvision", "earlier"
WEIGHTS: Mapping[str, str] = {
    SCRATCH: "From scratch",
    PUBLISHED: "Published (torchvision)",
    EARLIER: "From a run or checkpoint",
}

PRECISIONS: Mapping[str, str] = {
    AUTO: "Automatic: the fastest on this machine",
    "32-true": "float32",
    "bf16-mixed": "bfloat16, mixed",
    "16-mixed": "float16, mixed",
}

HERE, SLURM = "here", "slurm"
PLACES: Mapping[str, str] = {HERE: "This machine", SLURM: "Slurm cluster"}


def launch_fields(
    architectures: "Mapping[str, Architecture]", sources: Collection[str], augmentations: Collection[str]
) -> dict[str, Field]:
    """Name every field of the form, whether it is shown or not, with its default."""
    networks = [key for key in DEFAULT_NETWORKS if key in architectures]
    return {
        "networks": Field(networks, one_of(architectures), many=True),
        **{one.name: usual_field(one) for one in SETTINGS if one.name != "slurm"},
        "source": Field(setting("source").default, one_of(sources)),
        "recipe": Field(list(setting("recipe").default), one_of(RECIPES), many=True),
        "augmentation": Field(None, one_of(augmentations)),
        "precision": Field(AUTO, one_of(PRECISIONS)),
        "devices": Field(setting("devices").default, parse_devices),
        "weights": Field(SCRATCH, one_of(WEIGHTS)),
        "checkpoint": Field(""),
        "where": Field(HERE, one_of(PLACES)),
        **option_fields(architectures),
    }


def usual_field(one: Setting) -> Field:
    """Return a setting's part of the address: a number within its limits, a switch, or what was typed."""
    if isinstance(one.kind, Switch):
        return Field(False, is_yes)
    if isinstance(one.kind, Whole):
        return Field(one.default, between(one.kind.lowest, one.kind.highest))
    return Field("")


def parse_devices(text: str) -> int | str:
    """Read a number of devices, or that all are meant."""
    return AUTO if text == AUTO else between(*limits("devices"))(text)


def limits(name: str) -> tuple[int, int]:
    """Return the lowest and the highest number that the form takes."""
    kind = setting(name).kind
    assert isinstance(kind, Whole)
    return kind.lowest, kind.highest


def option_fields(architectures: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields for what the papers leave open, with the papers' own choice as the default."""
    return {
        option_key(key, option): Field(allowed[0], one_of(allowed))
        for key, architecture in architectures.items()
        for option, allowed in architecture.options.items()
    }


def option_key(architecture: str, option: str) -> str:
    """Name the field of an architecture's option, which is also its part of the address."""
    return f"{architecture}.{option}"


def weights_of(kind: str, checkpoint: str) -> str | None:
    """Return the starting weights as a job names them: None from scratch."""
    return {SCRATCH: None, PUBLISHED: PUBLISHED}.get(kind, checkpoint.strip())


@dataclass
class Filled:
    """What the form holds, field by field.

    Attributes:
        values: Of the settings, by name.
        problems: Sentences why it cannot work.
    """

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        """Show a problem and note it; nothing where there is none."""
        show_problem(problem)
        if problem:
            self.problems.append(problem)

    def show(self, name: str, **changes: Any) -> Any:
        """Show the usual widget of a setting and note its value.

        Args:
            name: Of the setting.
            **changes: Of the widget's arguments.
        """
        one = setting(name)
        widget: dict[str, Any] = {"label": one.label, "key": name}
        widget["help"] = one.help[:1].upper() + one.help[1:]
        if isinstance(one.kind, Switch):
            self.values[name] = st.checkbox(**widget | changes)
        elif isinstance(one.kind, Whole):
            widget |= {"min_value": one.kind.lowest, "max_value": one.kind.highest, "width": NUMBER_WIDTH}
            if one.default is None:
                widget |= {"value": None, "placeholder": one.hint or None}
            self.values[name] = st.number_input(**widget | changes)
        else:
            widget |= {"placeholder": one.hint or None, "width": TEXT_WIDTH}
            text = st.text_input(**widget | changes)
            try:
                self.values[name] = one.read(text)
            except ValueError as problem:
                self.complain(str(problem))
        return self.values.get(name)

    def show_panel(self, panel: str, title: str) -> None:
        """Show the settings of a panel, folded up unless one is used."""
        names = [one.name for one in settings_of(panel)]
        is_used = any(st.session_state[name] for name in names)
        with st.expander(title, expanded=is_used):
            for name in names:
                self.show(name)
