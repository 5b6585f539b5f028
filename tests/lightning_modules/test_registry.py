import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lightning_modules
from dashboard.launch.fields import launch_fields
from lightning_modules import networks, registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.ledger.table import measure
from lightning_modules.problems import InvalidChoice
from tests.refusals import refused

README = Path(__file__).parents[2] / "README.md"


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
    assert 1 <= architecture.minimum_size <= architecture.input_size
    assert architecture.depth >= 5 and architecture.num_classes >= 2
    assert all(sentence.endswith(".") for sentence in architecture.differences)
    assert all(len(values) > 1 for values in architecture.options.values())


def test_published_errors_are_percent(architecture):
    for one in architecture.published:
        assert one.split.startswith(("ILSVRC2012 val", "ILSVRC2012 test", "CIFAR-10 test"))
        assert one.protocol and one.source and one.models >= 1
        given = [error for error in (one.top5, one.top1) if error is not None]
        assert given and given == sorted(given) and all(1 < error < 100 for error in given)


def test_the_reference_is_of_one_network(architecture):
    if not architecture.published:
        assert architecture.reference is None
        return
    reference = architecture.reference
    assert reference is architecture.published[0]
    assert reference.models == 1 and not reference.split.startswith("ILSVRC2012 test")


def test_what_the_papers_report_comes_first():
    """Variants of a library, and networks a paper shows as curves only, have no figure of the paper's."""
    theirs = {
        key
        for key, one in registry.architectures().items()
        if one.reference is not None and "Table" in one.reference.source
    }
    assert {"alexnet", "vgg11", "vgg16", "vgg19", "googlenet", "resnet18", "resnet152", "xception"} <= theirs


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
        with refused(InvalidChoice.LEARNING_RATE):
            architecture.get_recipe("quick", learning_rate=rate)


@pytest.mark.parametrize("look", [registry.get, measure, ImageClassifier])
def test_an_unknown_key_lists_the_known(look):
    for key in ("zzzz", ""):
        with refused(InvalidChoice.NO_NETWORK, key=key, allowed=", ".join(registry.architectures())):
            look(key)
    with refused(InvalidChoice.SIMILAR_NETWORK, key="AlexNet") as caught:
        look("AlexNet")
    assert caught.value.values["similar"].startswith("alexnet")


def test_an_unknown_recipe_lists_the_known(architecture):
    values = {"network": architecture.name, "recipe": "slow", "allowed": "paper, modern, quick"}
    with refused(InvalidChoice.NO_RECIPE, **values):
        architecture.get_recipe("slow")
    with refused(InvalidChoice.NO_RECIPE, **values):
        ImageClassifier(architecture.key, 10, architecture.input_size, recipe="slow")


def test_an_unknown_option_lists_the_known(architecture):
    names = ", ".join(architecture.options) or "none"
    builds = (
        lambda: architecture.build(10, None, colour="red"),
        lambda: measure(architecture.key, 10, None, colour="red"),
        lambda: ImageClassifier(architecture.key, 10, architecture.input_size, options={"colour": "red"}),
    )
    for build in builds:
        with refused(InvalidChoice.NO_OPTION, network=architecture.name, option="colour", allowed=names):
            build()


def test_an_unknown_value_lists_the_known(architecture):
    for name, values in architecture.options.items():
        with refused(InvalidChoice.NO_OPTION_VALUE, option=name, value="odd", allowed=", ".join(values)):
            architecture.build(10, None, **{name: "odd"})


def test_options_have_defaults(architecture):
    defaults = {name: values[0] for name, values in architecture.options.items()}
    assert architecture.check_options({}) == defaults
    for name, values in architecture.options.items():
        for value in values:
            assert architecture.check_options({name: value}) == defaults | {name: value}
            assert measure(architecture.key, 10, None, **{name: value}).parameters


@pytest.mark.parametrize("num_classes", [1, 0, -1])
def test_too_few_classes(architecture, num_classes):
    with refused(InvalidChoice.NUM_CLASSES, num_classes=num_classes):
        architecture.build(num_classes)
    with refused(InvalidChoice.NUM_CLASSES, num_classes=num_classes):
        measure(architecture.key, num_classes)


@pytest.fixture
def example(tmp_path):
    """The README's own example, as a file in a folder beside the package."""
    section = README.read_text().split("## Add an architecture")[1]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    assert len(code.splitlines()) < 60
    (tmp_path / "lenet.py").write_text(code)
    return tmp_path


@pytest.mark.parametrize("package", [networks, lightning_modules], ids=["its place", "the old place"])
def test_one_file_adds_a_network(package, example, monkeypatch, caplog):
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(example)])
    registry._discover.cache_clear()
    try:
        assert next(iter(registry.architectures())) == "lenet"
        assert measure("lenet").parameters == 456 + 2_416 + 48_120 + 10_164 + 850
        classifier = ImageClassifier("lenet", num_classes=4, image_size=16)
        assert classifier(torch.zeros(2, 3, 16, 16)).shape == (2, 4)
        field = launch_fields(registry.architectures(), ["digits"], ["light"])["networks"]
        assert field.parse("lenet") == "lenet"
        found = [record.args for record in caplog.records]
        assert found == ([] if package is networks else [(example / "lenet.py", networks.__path__[0])])
    finally:
        registry._discover.cache_clear()
        sys.modules.pop(f"{package.__name__}.lenet", None)
        vars(package).pop("lenet", None)


def test_the_catalogues_tests_take_it_in(example):
    (example / "plugin.py").write_text(
        f"from lightning_modules import networks\nnetworks.__path__.append({str(example)!r})\n"
    )
    names = ("test_registry", "test_networks", "test_ledger", "test_recipes", "test_initialisation")
    files = [str(Path(__file__).with_name(f"{name}.py")) for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plugin", "-k", "lenet", "-o", "addopts=", *files]
    paths = os.pathsep.join([str(example), str(README.parent)])
    answer = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}, cwd=README.parent
    )
    assert answer.returncode == 0, answer.stdout
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed and int(passed[1]) > 30


def test_looking_does_not_bring_lightning():
    code = """
import sys
from lightning_modules import registry
from lightning_modules.ledger.table import measure
registry.architectures()
measure("googlenet")
print(sorted({"pytorch_lightning", "torchmetrics", "torchvision"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")
