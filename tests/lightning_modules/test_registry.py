import re
import subprocess
import sys

import pytest
import torch

import lightning_modules
from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.ledger import measure

NEW_FAMILY = '''
"""A network of one layer."""

from torch import nn

from lightning_modules.architecture import Architecture, Paper
from lightning_modules.recipes import modern, quick


class Perceptron(nn.Sequential):
    auxiliary_weights = ()

    def __init__(self, num_classes, image_size):
        super().__init__(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))


ARCHITECTURES = (
    Architecture(
        key="perceptron",
        name="Perceptron",
        family="Perceptron",
        paper=Paper("The perceptron", "Frank Rosenblatt", "Psychological Review", 1958, "https://example.org"),
        network=Perceptron,
        input_size=20,
        minimum_size=1,
        published=(),
        recipes={"paper": quick(0.1, 1), "modern": modern(0.1), "quick": quick(0.1, 1)},
        depth=1,
    ),
)
'''


def test_keys(architecture):
    assert registry.get(architecture.key) is architecture
    assert registry.architectures()[architecture.key] is architecture
    assert re.fullmatch(r"[a-z][a-z0-9_]*", architecture.key)


def test_oldest_first():
    found = list(registry.architectures().values())
    assert found == sorted(found, key=lambda one: (one.year, one.family))
    assert len({one.name for one in found}) == len(found)


def test_callers_cannot_change_the_registry():
    registry.architectures().clear()
    assert registry.architectures()


def test_an_architecture_is_described(architecture):
    paper = architecture.paper
    assert all((architecture.name, architecture.family, paper.title, paper.authors, paper.venue))
    assert 1943 <= architecture.year <= 2100
    assert paper.url.startswith("https://")
    assert architecture.note.endswith(".") and len(architecture.note) < 120
    assert 1 <= architecture.minimum_size <= 64 <= architecture.input_size
    assert all(len(values) > 1 for values in architecture.options.values())


def test_published_errors_are_percent(architecture):
    assert architecture.published
    for one in architecture.published:
        assert one.split in ("ILSVRC2012 val", "ILSVRC2012 test")
        assert one.protocol and one.source and one.models >= 1
        given = [error for error in (one.top5, one.top1) if error is not None]
        assert given and given == sorted(given) and all(1 < error < 100 for error in given)


def test_the_reference_is_the_papers_own(architecture):
    reference = architecture.reference
    assert (reference.split, reference.models) == ("ILSVRC2012 val", 1)
    assert "retraining" not in reference.source and "Table" in reference.source


def test_three_recipes(architecture):
    assert {"paper", "modern", "quick"} <= set(architecture.recipes)
    for name, recipe in architecture.recipes.items():
        assert architecture.get_recipe(name) is recipe
        assert recipe.source and recipe.augmentation and recipe.batch_size > 0 and recipe.epochs > 0
        assert all(choice.endswith(".") for choice in recipe.open_choices)
    assert str(architecture.year) in architecture.recipes["paper"].source
    assert architecture.recipes["modern"].batch_size == 256 and architecture.recipes["modern"].epochs == 100


def test_a_recipe_with_another_learning_rate(architecture):
    recipe = architecture.get_recipe("quick", learning_rate=0.5)
    assert recipe.learning_rate == 0.5 and recipe.epochs == architecture.get_recipe("quick").epochs
    for rate in (0.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"learning_rate is .* above 0"):
            architecture.get_recipe("quick", learning_rate=rate)


@pytest.mark.parametrize("look", [registry.get, measure, ImageClassifier])
@pytest.mark.parametrize("key", ["lenet", "", "AlexNet", "registry"])
def test_an_unknown_key_lists_the_known(look, key):
    allowed = ", ".join(registry.architectures())
    with pytest.raises(ValueError, match=re.escape(f"no architecture {key!r}; choose one of: {allowed}.")):
        look(key)


def test_an_unknown_recipe_lists_the_known(architecture):
    message = f"{architecture.name} has no recipe 'slow'; choose one of: paper, modern, quick."
    with pytest.raises(ValueError, match=re.escape(message)):
        architecture.get_recipe("slow")
    with pytest.raises(ValueError, match=re.escape(message)):
        ImageClassifier(architecture.key, 10, 64, recipe="slow")


def test_an_unknown_option_lists_the_known(architecture):
    names = ", ".join(architecture.options) or "none"
    message = f"{architecture.name} has no option 'colour'; its options: {names}."
    builds = (
        lambda: architecture.build(10, 64, colour="red"),
        lambda: measure(architecture.key, 10, 64, colour="red"),
        lambda: ImageClassifier(architecture.key, 10, 64, options={"colour": "red"}),
    )
    for build in builds:
        with pytest.raises(ValueError, match=re.escape(message)):
            build()


def test_an_unknown_value_lists_the_known(architecture):
    for name, values in architecture.options.items():
        message = f"{name} of {architecture.name} cannot be 'odd'; choose one of: {', '.join(values)}."
        with pytest.raises(ValueError, match=re.escape(message)):
            architecture.build(10, 64, **{name: "odd"})


def test_options_have_defaults(architecture):
    defaults = {name: values[0] for name, values in architecture.options.items()}
    assert architecture.check_options({}) == defaults
    for name, values in architecture.options.items():
        for value in values:
            assert architecture.check_options({name: value}) == defaults | {name: value}
            assert measure(architecture.key, 10, 64, **{name: value}).parameters


@pytest.mark.parametrize("num_classes", [1, 0, -1])
def test_too_few_classes(architecture, num_classes):
    with pytest.raises(ValueError, match=f"num_classes is {num_classes}; a classifier needs 2 or more"):
        architecture.build(num_classes, 64)
    with pytest.raises(ValueError, match=f"num_classes is {num_classes}"):
        measure(architecture.key, num_classes, 64)


def test_one_file_adds_a_network(tmp_path, monkeypatch):
    (tmp_path / "perceptron.py").write_text(NEW_FAMILY)
    monkeypatch.setattr(lightning_modules, "__path__", [*lightning_modules.__path__, str(tmp_path)])
    registry._discover.cache_clear()
    try:
        assert next(iter(registry.architectures())) == "perceptron"
        assert measure("perceptron").parameters == (3 * 20 * 20 + 1) * 1000
        classifier = ImageClassifier("perceptron", num_classes=4, image_size=5)
        assert classifier(torch.zeros(2, 3, 5, 5)).shape == (2, 4)
    finally:
        registry._discover.cache_clear()
        sys.modules.pop("lightning_modules.perceptron", None)
        vars(lightning_modules).pop("perceptron", None)


def test_looking_does_not_bring_lightning():
    code = """
import sys
from lightning_modules import ledger, registry
for key in registry.architectures():
    ledger.measure(key)
print(sorted({"pytorch_lightning", "torchmetrics", "torchvision"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")
