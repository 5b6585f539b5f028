import math
import shlex

import pytest
import yaml

from jobs.__main__ import build_parser
from jobs.engines.slurm_options import SlurmOptions, parse_extra, read_options
from jobs.problems import BadValue
from jobs.submission.arguments import spec_from
from jobs.submission.spec import JobSpec
from tests.refusals import refused


def parse(command):
    words = shlex.split(command)
    assert words[:4] == [".venv/bin/python", "-m", "jobs", "submit"]
    return spec_from(build_parser().parse_args(words[3:]))


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec(("alexnet",), epochs=5, batch_size=64),
        JobSpec(("alexnet", "vgg16"), epochs=1, batch_size=8, devices="auto", seed=7, num_workers=0),
        JobSpec(
            ("resnet50",),
            source="folder",
            root="/data/it's $HOME; rm -rf",
            recipe=("paper",),
            epochs=90,
            image_size=224,
            batch_size=256,
            precision="bf16-mixed",
            devices=4,
            options={"resnet50": {"stride": "3x3", "note": "a=b.c"}},
            num_workers=8,
        ),
        JobSpec(("resnet18",), source="folder", root="--odd", epochs=1, batch_size=1, seed=-1),
        JobSpec(("resnet18", "vgg16"), epochs=1, batch_size=1, weights="torchvision"),
        JobSpec(("resnet18", "vgg16"), epochs=1, batch_size=1, seed=3, num_seeds=5),
        JobSpec(("vgg16",), recipe=("quick", "modern"), learning_rate=(0.1, 1e-05), num_seeds=2),
        JobSpec(("resnet18",), epochs=1, batch_size=8, accumulate=4),
        JobSpec(("resnet18",), epochs=1, batch_size=1, classes=100, augmentation="googlenet"),
        JobSpec(("resnet18",), epochs=1, batch_size=1, classes=("n01440764", "n01443537")),
        JobSpec(("resnet18",), epochs=1, batch_size=1, classes=(3,)),
        JobSpec(
            ("resnet18",), epochs=1, batch_size=1, mean_image="/a b.npy", val_resize=232, max_unreadable=0.5
        ),
        JobSpec(("resnet18",), epochs=1, batch_size=1, weights="/runs/of last year/best.ckpt"),
        JobSpec(
            ("resnet18",),
            epochs=1,
            batch_size=1,
            scale_learning_rate=True,
            ema_decay=0.9999,
            compile=True,
            sync_batchnorm=True,
        ),
        JobSpec(("resnet18",), epochs=1, batch_size=1, slurm=True),
        JobSpec(("resnet18",), epochs=1, batch_size=1, partition="gpu"),
        JobSpec(
            ("resnet18",),
            epochs=1,
            batch_size=1,
            slurm=True,
            nodes=2,
            gpus_per_node=8,
            partition="gpu,long",
            time="1-12:00:00",
            account="phys",
            sbatch={"constraint": "a100|h100", "mem": "64G"},
        ),
    ],
)
def test_the_command_gives_the_same_jobs(spec):
    assert parse(spec.command()) == spec
    assert parse(spec.command()).configs() == spec.configs()


def test_configuration_of_a_job():
    spec = JobSpec(("alexnet",), epochs=5, batch_size=64)
    assert spec.configs() == [
        {
            "seed_everything": 0,
            "trainer": {"max_epochs": 5, "accelerator": "auto", "devices": 1},
            "model": {"architecture": "alexnet", "recipe": "quick", "options": {}},
            "data": {
                "source": "digits",
                "root": None,
                "image_size": 64,
                "batch_size": 64,
                "classes": None,
                "augmentation": None,
                "num_workers": None,
            },
        }
    ]


def test_every_network_with_every_seed():
    configs = JobSpec(("alexnet", "vgg16"), seed=4, num_seeds=3).configs()
    assert [(one["model"]["architecture"], one["seed_everything"]) for one in configs] == [
        (key, seed) for seed in (4, 5, 6) for key in ("alexnet", "vgg16")
    ]
    with refused(BadValue.TOO_SMALL, name="num_seeds", value=0):
        JobSpec(("alexnet",), num_seeds=0).configs()


def test_a_grid_is_the_product_of_all_values():
    spec = JobSpec(("alexnet", "vgg16"), recipe=("quick", "modern"), learning_rate=(0.1, 0.01), num_seeds=2)
    configs = spec.configs()
    points = {
        (one["model"]["architecture"], one["model"]["recipe"], one["model"]["learning_rate"])
        for one in configs
    }
    assert len(configs) == spec.num_jobs == 16 and len(points) == 8
    assert spec.configurations() == configs[:8]
    epochs = {one["model"]["recipe"]: one["trainer"]["max_epochs"] for one in configs}
    assert epochs["quick"] < epochs["modern"] == 100


def test_starting_weights_are_part_of_the_model():
    (config,) = JobSpec(("resnet18",), weights="resnet18-digits-1a2b").configs()
    assert config["model"]["weights"] == "resnet18-digits-1a2b"


def test_a_checkpoint_is_found_from_wherever_the_job_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.ckpt").touch()
    spec = spec_from(build_parser().parse_args(["submit", "resnet18", "--weights", "best.ckpt"]))
    assert spec.weights == str(tmp_path / "best.ckpt")


def test_options_go_to_their_architecture():
    spec = JobSpec(("resnet18", "resnet50"), epochs=1, batch_size=1, options={"resnet50": {"stride": "3x3"}})
    assert [config["model"]["options"] for config in spec.configs()] == [{}, {"stride": "3x3"}]


def test_invalid_requests():
    with refused(BadValue.NOTHING_TO_TRAIN, what="architecture"):
        JobSpec(()).configs()
    with refused(BadValue.OPTIONS_OF_ANOTHER, architecture="vgg16"):
        JobSpec(("alexnet",), options={"vgg16": {"a": "b"}}).configs()
    with refused(BadValue.LEARNING_RATE, value=-1.0):
        JobSpec(("alexnet",), learning_rate=(-1.0,)).configs()
    with refused(BadValue.REPEATED, value="quick"):
        JobSpec(("alexnet",), recipe=("quick", "quick")).configs()
    for option in ("x", "a=b", "a.b", ".b=c"):
        with refused(BadValue.OPTION, option=option):
            spec_from(build_parser().parse_args(["submit", "alexnet", "--option", option]))


def test_what_is_asked_of_a_cluster_is_in_the_yaml():
    asked = {"nodes": 2, "gpus_per_node": 4, "partition": "gpu", "time": "30", "sbatch": {"mem": "64G"}}
    spec = JobSpec(("alexnet",), epochs=1, batch_size=1, **asked)
    (config,) = spec.configs()
    assert config["trainer"]["num_nodes"] == 2 and config["trainer"]["devices"] == 4
    assert read_options(config) == spec.cluster == SlurmOptions(2, 4, "gpu", "30", extra={"mem": "64G"})
    assert read_options({"trainer": {}}) is None


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        ("90", 90),
        ("0:30", 1),  # rounded up to whole minutes
        ("1:30:00", 90),
        ("1-12", 36 * 60),
        ("1-12:30", 36 * 60 + 30),
        ("2-00:00:01", 48 * 60 + 1),
        ("0", math.inf),
        (None, math.inf),
    ],
)
def test_a_time_limit_is_read_as_slurm_reads_it(time, minutes):
    assert SlurmOptions(time=time).limit_s == 60 * minutes


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"partition": "gpu\ntouch x"}, BadValue.NOT_ONE_WORD),
        ({"account": "$(touch x)"}, BadValue.NOT_ONE_WORD),
        ({"partition": "a'b"}, BadValue.NOT_ONE_WORD),
        ({"time": "; touch x"}, BadValue.TIME_LIMIT),
        ({"nodes": 0}, BadValue.CLUSTER_NUMBER),
        ({"sbatch": {"wrap": "id"}}, BadValue.SBATCH_OPTION),
        ({"sbatch": {"outp": "/tmp/x"}}, BadValue.SBATCH_OPTION),
        ({"sbatch": {"mem=1 --wrap": "id"}}, BadValue.SBATCH_OPTION),
        ({"sbatch": {"constraint": "a b"}}, BadValue.NOT_ONE_WORD),
    ],
)
def test_nothing_but_options_gets_into_the_batch_script(options, code):
    with refused(code):
        JobSpec(("alexnet",), epochs=1, batch_size=1, **options).configs()


def test_what_cannot_be_asked_of_a_cluster():
    with refused(BadValue.NO_GPUS_PER_NODE):
        JobSpec(("alexnet",), epochs=1, batch_size=1, devices="auto", slurm=True).configs()
    with refused(BadValue.NAME_VALUE, word="mem"):
        parse_extra("mem")
    with refused(BadValue.SLURM_KEYS, unknown="colour"):
        read_options({"slurm": {"colour": "red"}, "trainer": {}})
    with refused(BadValue.TIME_UNQUOTED, time=5400):
        read_options({"slurm": yaml.safe_load("time: 1:30:00"), "trainer": {}})
    assert read_options({"slurm": yaml.safe_load("time: '1:30:00'"), "trainer": {}}).time == "1:30:00"
