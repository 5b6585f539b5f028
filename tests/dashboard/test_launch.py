"""The launch form: what cannot work is said at its field, what can becomes queued runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.launch import preflight
from dashboard.launch.clone import clone_params, left_out
from dashboard.launch.fields import launch_fields, weights_of
from dashboard.launch.problems import devices_problem, size_problem
from dashboard.launch.wording import RECIPES, recipe_hint
from dashboard.networks import catalogue
from jobs.__main__ import main
from jobs.host.machine import Gpu, Machine
from jobs.preflight.allowed_paths import VARIABLE
from jobs.preflight.questions import Answer
from jobs.preflight.trials import Trial
from jobs.submission.spec import JobSpec
from jobs.submission.submit import check_config
from tracking.runs import list_runs, read_config
from tracking.store import Store

OpenPage = Callable[..., AppTest]
Query = dict[str, str | list[str]]
ARCHITECTURES = catalogue.architectures()


def button(app: AppTest) -> AppTest:
    return next(one for one in app.button if one.label.startswith("Launch"))


def problems(app: AppTest) -> list[str]:
    marker = ":red[:material/error: "
    return [one.value.removeprefix(marker)[:-1] for one in app.markdown if one.value.startswith(marker)]


def make_folder(root: Path, splits: dict[str, list[str]]) -> Path:
    """Class folders with two images each; a name that ends in `-` stays empty."""
    for split, names in splits.items():
        for name in names:
            (root / split / name).mkdir(parents=True)
            for number in range(0 if name.endswith("-") else 2):
                Image.new("RGB", (8, 8)).save(root / split / name / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"networks": ""}, "Choose at least one network."),
        (
            {"networks": "alexnet", "image_size": "16"},
            "16 px is too small for AlexNet; 64 px is the smallest",
        ),
        ({"networks": ["vgg16", "resnet18"], "image_size": "8"}, "too small for VGG-16 and ResNet-18; 32 px"),
        (
            {"batch_size": "2000"},
            "A batch of 2000 does not fit into 1433 training images; use at most 1433.",
        ),
        ({"source": "folder"}, "Set root to the folder that holds train/ and val/"),
        ({"source": "imagenet"}, "Set root to the folder that "),
        ({"classes": "11"}, "The number of classes is 11; it must be from 2 to 10"),
        ({"classes": "3, cat"}, "There is no class 'cat'; this source has"),
        (
            {"source": "folder", "root": "/no/such/folder"},
            "/no/such/folder is not in a place that data may be read from (",
        ),
        ({"source": "folder", "root": "a\0b"}, "is not an absolute path; begin with / or"),
        ({"source": "folder", "root": "[a](b)"}, r"'\[a\](b)' is not an absolute path;"),
        ({"source": "litdata"}, "Set root to a folder or an address that holds train/ and val/"),
        ({"source": "litdata", "root": "ftp://host/set"}, "is not an address that can be read; choose s3"),
        ({"source": "folder", "root": "s3://bucket/set"}, "folder reads a folder, not an address such as s3"),
        ({"mean_image": "/etc/passwd"}, "/etc/passwd is not in a place that data may be read from ("),
        ({"mean_image": "mean.npy"}, "'mean.npy' is not an absolute path; begin with / or"),
        (
            {"max_unreadable": "a few"},
            "'a few' is not a fraction of the images below 1, such as 0.05, or a number",
        ),
        ({"devices": "64"}, "use at most"),
        (
            {"networks": ["alexnet", "resnet18", "googlenet"], "weights": "torchvision"},
            "torchvision publishes no weights of AlexNet and GoogLeNet; choose other networks or weights.",
        ),
        ({"networks": "resnet50", "weights": "torchvision"}, "3x3, not 1x1; choose that option"),
        ({"weights": "earlier"}, "Name the run or the checkpoint file whose weights to start from."),
        (
            {"weights": "earlier", "checkpoint": "/no/such.ckpt"},
            "/no/such.ckpt is not in a place that data may be read from (",
        ),
        ({"weights": "earlier", "checkpoint": "resnet18-x"}, "No run has the name or an id that begins"),
    ],
)
def test_a_form_that_cannot_work_says_so_at_the_field(
    query: Query, problem: str, empty_store: Store, open_page: OpenPage
) -> None:
    app = open_page("launch", **query)
    assert len(problems(app)) == 1 and problem in problems(app)[0]
    assert button(app).disabled
    assert "First correct what is marked in red." in [one.value for one in app.caption]
    assert not app.error


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that data may be read from."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "allowed"))
    (tmp_path / "allowed").mkdir()
    return tmp_path / "allowed"


def test_a_folder_elsewhere_is_refused_by_form_and_shell(
    place: Path, empty_store: Store, open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {"train": ["cat", "dog"], "val": ["cat", "dog"]}
    (place / "link").symlink_to(make_folder(place.with_name("secret"), splits))
    app = open_page("launch", source="folder", root=str(place / "link"), batch_size="2")
    assert main(["submit", "resnet18", "--source", "folder", "--root", str(place / "link"), "--hold"]) == 2
    (problem,) = problems(app)
    for text in (problem.replace("\\", ""), capsys.readouterr().err):
        assert f"{place}/link is not in a place that data may be read from ({place}); set {VARIABLE}" in text
    assert button(app).disabled and list_runs(empty_store) == []


@pytest.mark.parametrize(
    ("splits", "problem"),
    [
        ({"train": ["cat", "dog"]}, "There is no folder"),
        ({"train": ["cat", "dog"], "val": ["cat", "cow"]}, "that are not in"),
        ({"train": ["cat", "dog-"], "val": ["cat", "dog-"]}, "has no images; fill or remove it."),
        ({"train": ["cat"], "val": ["cat"]}, "needs two or more"),
    ],
)
def test_a_folder_that_cannot_work_says_why(
    splits: dict[str, list[str]], problem: str, place: Path, empty_store: Store, open_page: OpenPage
) -> None:
    root = make_folder(place / "images", splits)
    app = open_page("launch", source="folder", root=str(root))
    assert len(problems(app)) == 1 and problem in problems(app)[0]
    assert button(app).disabled


def test_a_folder_that_works_is_counted(place: Path, empty_store: Store, open_page: OpenPage) -> None:
    root = make_folder(place / "images", {"train": ["cat", "dog"], "val": ["cat", "dog"]})
    app = open_page("launch", source="folder", root=str(root), batch_size="2")
    assert problems(app) == [] and not button(app).disabled
    assert "4 training images, 4 to validate, 2 classes" in [one.value for one in app.caption]


def test_fewer_classes_are_part_of_the_order(place: Path, empty_store: Store, open_page: OpenPage) -> None:
    root = make_folder(place / "images", {split: ["cat", "cow", "dog"] for split in ("train", "val")})
    app = open_page("launch", source="folder", root=str(root), batch_size="2", classes="dog, cat")
    assert problems(app) == [] and not button(app).disabled
    assert "4 training images, 4 to validate, 2 of 3 classes" in [one.value for one in app.caption]
    command, text = (code.value for code in app.code)
    assert "--classes dog,cat" in command
    assert [config["data"]["classes"] for config in yaml.safe_load_all(text)] == [["dog", "cat"]] * 4
    assert app.query_params["classes"] == "dog, cat"


def test_the_batch_of_a_recipe_must_fit_too(place: Path, empty_store: Store, open_page: OpenPage) -> None:
    root = make_folder(place / "images", {"train": ["cat", "dog"], "val": ["cat", "dog"]})
    app = open_page("launch", source="folder", root=str(root))
    assert problems(app) == ["The recipe's batch of 32 does not fit into 4 training images; use at most 4."]


def test_what_few_ask_for_is_part_of_the_order(empty_store: Store, open_page: OpenPage) -> None:
    query: Query = {"networks": "resnet18", "recipe": "modern", "ema_decay": "0.999", "devices": "1"}
    app = open_page("launch", batch_size="32", accumulate="4", scale_learning_rate="yes", **query)
    assert problems(app) == []
    assert any(one.value.endswith("0.1 × 128 / 256 = 0.05.") for one in app.caption)
    command, text = (code.value for code in app.code)
    assert command.endswith("--ema_decay 0.999 --scale_learning_rate")
    model = yaml.safe_load(text)["model"]
    assert (model["ema_decay"], model["scale_learning_rate"]) == (0.999, True) and "compile" not in model
    params = clone_params(yaml.safe_load(text))
    assert (params["ema_decay"], params["scale_learning_rate"]) == ("0.999", "yes")
    assert problems(open_page("launch", ema_decay="1")) == [
        "'1' is not a number above 0 and below 1, such as 0.9999."
    ]


def test_a_double_click_launches_once(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", networks=["alexnet", "resnet18"], epochs="2")
    assert button(app).label == "Launch 2 jobs"
    button(app).click().run()
    button(app).click().run()
    assert not app.error
    runs = list_runs(empty_store, ["SCHEDULED"])
    assert sorted(run.architecture for run in runs) == ["alexnet", "resnet18"]
    assert any("2 jobs in the queue" in one.value for one in app.markdown)
    assert app.sidebar.caption[0].value.endswith("2 queued")


def test_yaml_and_command_are_shown_before_launching(empty_store: Store, open_page: OpenPage) -> None:
    query: Query = {"networks": ["resnet50", "vgg16"], "seed": "3", "resnet50.stride_on": "3x3"}
    app = open_page("launch", **query)
    command, text = (code.value for code in app.code)
    assert command.startswith(".venv/bin/python -m jobs submit resnet50 vgg16 ")
    assert command.endswith("--seed 3 --option resnet50.stride_on=3x3")
    configs = list(yaml.safe_load_all(text))
    assert [config["model"]["architecture"] for config in configs] == ["resnet50", "vgg16"]
    assert configs[0]["model"]["options"] == {"stride_on": "3x3"}
    assert list_runs(empty_store) == []


def test_published_weights_are_part_of_the_order(empty_store: Store, open_page: OpenPage) -> None:
    query: Query = {"networks": ["resnet18", "vgg16"], "weights": "torchvision"}
    app = open_page("launch", **query)
    assert problems(app) == [] and not button(app).disabled
    command, text = (code.value for code in app.code)
    assert command.endswith("--weights torchvision")
    assert [config["model"]["weights"] for config in yaml.safe_load_all(text)] == ["torchvision"] * 2
    assert app.query_params["weights"] == "torchvision"


def test_an_augmentation_is_explained_and_part_of_the_order(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", networks="resnet18", recipe="paper")
    assert [one.value for one in app.caption if one.value.startswith("**resnet** · Short side from 256")]
    app = open_page("launch", networks="resnet18", augmentation="heavy")
    assert [one.value for one in app.caption if "TrivialAugment, random erasing" in one.value]
    command, text = (code.value for code in app.code)
    assert "--augmentation heavy" in command and yaml.safe_load(text)["data"]["augmentation"] == "heavy"


@pytest.mark.parametrize(
    "weights", [None, "torchvision", "torchvision:IMAGENET1K_V2", "alexnet-digits-1a2b", "/a b/last.ckpt"]
)
def test_a_clone_starts_from_the_same_weights(weights: str | None) -> None:
    (config,) = JobSpec(("resnet18",), weights=weights).configs()
    fields = launch_fields(ARCHITECTURES, catalogue.sources(), catalogue.augmentations())
    params = clone_params(config)
    kind, checkpoint = (
        fields[name].parse(str(params.get(name, fields[name].default))) for name in ("weights", "checkpoint")
    )
    assert weights_of(kind, checkpoint) == weights


def test_what_is_launched_is_what_was_shown(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", networks="googlenet", epochs="2", precision="32-true")
    shown = yaml.safe_load(app.code[1].value)
    button(app).click().run()
    (run,) = list_runs(empty_store)
    assert yaml.safe_load(read_config(empty_store, run.run_id)) == shown


@pytest.mark.parametrize("key", ARCHITECTURES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_network_can_be_launched(key: str, recipe: str) -> None:
    """As the form comes, or with the size that it asks for; batches fit into the digits."""
    smallest = ARCHITECTURES[key].minimum_size
    image_size = max(64, smallest)
    batch_size = min(ARCHITECTURES[key].get_recipe(recipe).batch_size, 256)
    spec = JobSpec(architectures=(key,), recipe=(recipe,), image_size=image_size, batch_size=batch_size)
    for config in spec.configs():
        check_config(config)
    problem = size_problem(64, [ARCHITECTURES[key]])
    assert (problem == "") == (smallest <= 64) and (not problem or str(smallest) in problem)


def test_what_few_change_of_the_images_is_part_of_the_order(
    place: Path, empty_store: Store, open_page: OpenPage
) -> None:
    file = place / "mean.npy"
    np.save(file, np.zeros((3, 64, 64), np.float32))
    finer = {"mean_image": str(file), "val_resize": "232", "max_unreadable": "3"}
    app = open_page("launch", networks="resnet18", **finer)
    assert problems(app) == [] and not button(app).disabled
    command, text = (code.value for code in app.code)
    assert f"--mean_image {file} --val_resize 232 --max_unreadable 3" in command
    data = yaml.safe_load(text)["data"]
    assert (data["mean_image"], data["val_resize"], data["max_unreadable"]) == (str(file), 232, 3)
    app = open_page("launch", networks="resnet18", image_size="32", **finer)
    assert "is not a mean image of floats, 3 x 32 x 32" in problems(app)[0]
    app = open_page("launch", networks="resnet18", mean_image=str(place / "gone.npy"))
    assert "gone.npy" in problems(app)[0]


def test_a_checkpoint_in_an_allowed_place_is_looked_for(
    place: Path, empty_store: Store, open_page: OpenPage
) -> None:
    (place / "folder").mkdir()
    app = open_page("launch", weights="earlier", checkpoint=str(place / "folder"))
    assert len(problems(app)) == 1 and "There is no checkpoint" in problems(app)[0]


def test_what_is_asked_of_a_cluster_is_part_of_the_order(empty_store: Store, open_page: OpenPage) -> None:
    query = {"where": "slurm", "nodes": "2", "gpus_per_node": "4", "partition": "gpu", "time": "1-12:00:00"}
    app = open_page("launch", networks="resnet18", **query, sbatch="constraint=a100")
    assert problems(app) == [] and not button(app).disabled
    command, text = (code.value for code in app.code)
    options = "--nodes 2 --gpus_per_node 4 --partition gpu --time 1-12:00:00 --sbatch constraint=a100"
    assert "--slurm" in command and options in command
    config = yaml.safe_load(text)
    assert config["trainer"]["num_nodes"] == 2 and config["slurm"]["extra"] == {"constraint": "a100"}
    filled = clone_params(yaml.safe_load(text))
    assert {name: filled[name] for name in query} == query and filled["sbatch"] == "constraint=a100"
    app = open_page("launch", networks="resnet18", **(query | {"partition": "two words"}))
    assert "one word without spaces" in problems(app)[0] and button(app).disabled


def test_what_a_cluster_decides_is_not_asked_of_this_machine(empty_store: Store, open_page: OpenPage) -> None:
    query = {"where": "slurm", "nodes": "2", "batch_size": "16", "recipe": "modern"}
    app = open_page("launch", networks="resnet18", gpus_per_node="4", scale_learning_rate="yes", **query)
    assert problems(app) == [] and [tab.label for tab in app.tabs] == ["Command", "YAML"]
    assert "devices" not in [one.key for one in app.selectbox], "the GPUs of a node say it"
    assert any("0.1 × 128 / 256 = 0.05." in one.value for one in app.caption), "16 images on 8 GPUs"
    app = open_page("launch", networks="resnet18", devices="auto", **query)
    assert "not possible on a cluster" in problems(app)[0].replace("\\", "") and button(app).disabled
    assert "Memory" in [tab.label for tab in open_page("launch", networks="resnet18").tabs]


def test_several_seeds_are_several_jobs(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", networks=["alexnet", "vgg16"], seed="7", num_seeds="3")
    assert app.button(key="launch").label == "Launch 6 jobs"
    assert any("**vgg16**" in text.value and "seeds 7 to 9" in text.value for text in app.markdown)
    assert "--seed 7 --num_seeds 3" in app.code[0].value


def test_a_grid_is_launched_with_one_click_as_a_group(empty_store: Store, open_page: OpenPage) -> None:
    query: Query = {"networks": ["alexnet", "resnet18"], "recipe": ["quick", "modern"], "batch_size": "32"}
    app = open_page("launch", **query, learning_rate="0.01, 1e-3", num_seeds="2", accumulate="4")
    assert button(app).label == "Launch 16 jobs" and not problems(app)
    assert "--recipe quick,modern --learning_rate 0.01,0.001" in app.code[0].value
    assert any(
        "modern · learning rate 0.001 · 100 epochs · batches of 4 × 32" in one.value for one in app.markdown
    )
    button(app).click().run()
    runs = list_runs(empty_store)
    assert len(runs) == 16 and len({run.tags["job.group"] for run in runs}) == 1
    app = open_page("runs")
    (group,) = app.expander
    assert "16 runs: 16 queued" in group.label
    for text in (" · rate\u00a00.001 · seed\u00a00]", " · rate\u00a00.01 · seed\u00a01]"):
        assert sum(one.value.endswith(text) for one in app.markdown) == 4, "networks and recipes"
    (table,) = group.dataframe
    assert list(table.value["Done"]) == ["0 of 2"] * 8
    assert sorted(set(table.value["Learning rate"])) == ["0.001", "0.01"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"learning_rate": "fast"}, "'fast' is not a number above 0."),
        ({"learning_rate": "0.1, -1"}, "'-1' is not a number above 0."),
        ({"learning_rate": "0.1, 1e-1"}, "1e-1 is given more than once"),
        ({"recipe": ""}, "Choose at least one recipe."),
    ],
)
def test_a_grid_that_cannot_be_meant_says_so(
    query: Query, problem: str, empty_store: Store, open_page: OpenPage
) -> None:
    app = open_page("launch", **query)
    assert len(problems(app)) == 1 and problem in problems(app)[0] and button(app).disabled


@pytest.mark.parametrize("key", ARCHITECTURES)
def test_a_clone_asks_for_the_same(key: str) -> None:
    options = {key: {name: allowed[-1] for name, allowed in ARCHITECTURES[key].options.items()}}
    spec = JobSpec(
        architectures=(key,),
        source="folder",
        root="/data/image net",
        recipe=("modern",),
        epochs=4,
        image_size=96,
        batch_size=7,
        classes=("n01440764", "n01443537"),
        augmentation="cifar",
        precision="bf16-mixed",
        devices="auto",
        seed=5,
        num_workers=0,
        mean_image="/data/mean.npy",
        val_resize=232,
        max_unreadable=0.05,
        options=options,
    )
    fields = launch_fields(ARCHITECTURES, catalogue.sources(), catalogue.augmentations())
    params = clone_params(spec.configs()[0])
    assert set(params) <= set(fields)
    for name, value in params.items():
        for one in value if isinstance(value, list) else [value]:
            assert str(fields[name].parse(one)) == one
    assert left_out(spec.configs()[0], params) == []
    assert params["networks"] == [key] and params["root"] == "/data/image net"
    assert (params["devices"], params["num_workers"]) == ("auto", "0")
    assert (params["augmentation"], params["classes"]) == ("cifar", "n01440764,n01443537")
    finer = (params["mean_image"], params["val_resize"], params["max_unreadable"])
    assert finer == ("/data/mean.npy", "232", "0.05")


def machine(gpus: int, accelerator: str, are_parts: bool = False) -> Machine:
    cards = tuple(Gpu(str(number), "card", 0, is_part=are_parts) for number in range(gpus))
    return Machine("here", "cpu", 4, 2**30, cards, accelerator, ("one",))


@pytest.mark.parametrize(
    ("devices", "where", "problem"),
    [
        (2, machine(2, "cuda"), ""),
        (3, machine(2, "cuda"), "This machine has 2 GPUs; use at most 2."),
        (2, machine(0, "mps"), "Apple's GPU is one device; use 1."),
        (2, machine(2, "cuda", are_parts=True), "Parts of a GPU (MIG) cannot train together; use 1."),
        (4, machine(0, "cpu"), ""),
        (5, machine(0, "cpu"), "This machine has no GPU and 4 processor cores; use at most 4."),
    ],
)
def test_devices(devices: int, where: Machine, problem: str) -> None:
    assert devices_problem(devices, where) == problem


@pytest.mark.parametrize(
    ("values", "text"), [([], "the recipe's"), ([5, 5], "5, the recipe's"), ([9, 5], "5 to 9, the recipe's")]
)
def test_what_a_recipe_takes(values: list[int], text: str) -> None:
    assert recipe_hint(values) == text


def test_a_batch_that_does_not_fit_is_replaced_with_a_click(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", networks="vgg16", image_size="512", batch_size="1024")
    assert button(app).label == "Launch 1 job anyway"
    assert app.code[0].value.endswith(" --anyway"), "the shell would refuse it as well"
    remedy = next(one for one in app.button if one.label.startswith("Use batches of "))
    remedy.click().run()
    assert button(app).label == "Launch 1 job" and not app.exception
    accumulate, batch_size = (int("".join(app.query_params[key])) for key in ("accumulate", "batch_size"))
    assert accumulate > 1 and accumulate * batch_size == 1024
    assert f"--accumulate {accumulate}" in app.code[0].value and "--anyway" not in app.code[0].value
    assert any("**Memory** vgg16 with batches of" in one.value for one in app.markdown)


def test_what_a_trial_has_shown_outlives_a_reload(
    empty_store: Store, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config,) = JobSpec(("resnet18",), image_size=40, batch_size=8).configs()
    query: Query = {"networks": "resnet18", "image_size": "40", "batch_size": "8", "epochs": "2"}
    shown = (Answer("Trial", True, "It works"), Trial(50.0, 2**30, 20, 1433))
    monkeypatch.setitem(preflight.TRIED, preflight.key_of(config), shown)
    values = [one.value for one in open_page("launch", **query).markdown]
    assert any("**Trial** It works" in value for value in values)
    assert any("**Time** Finished in about" in value for value in values)
