"""The networks from a shell: what is printed, and what is said about a command that makes no sense."""

import csv
import io
import json
import subprocess
import sys

import pytest

from lightning_modules import registry
from lightning_modules.__main__ import main
from lightning_modules.ledger.table import measure
from tests.exits import exit_code


@pytest.fixture
def shell(capsys):
    def run(*arguments):
        code = main(arguments)
        printed = capsys.readouterr()
        assert (code, printed.err) == (0, "")
        return printed.out

    return run


@pytest.fixture
def complaint(capsys):
    def run(*arguments):
        code = exit_code(main, arguments)
        printed = capsys.readouterr()
        assert (code, printed.out) == (2, "")
        assert printed.err.endswith("\n") and printed.err.count("\n") == 1
        return printed.err.rstrip()

    return run


def test_list_names_every_network(shell):
    keys = list(registry.architectures())
    assert [line.split()[0] for line in shell("list").splitlines()[1:]] == keys
    rows = list(csv.DictReader(io.StringIO(shell("list", "--format", "csv"))))
    assert [row["key"] for row in rows] == keys
    described = json.loads(shell("list", "--format", "json"))
    assert [one["key"] for one in described] == keys
    resnet50 = next(one for one in described if one["key"] == "resnet50")
    assert (resnet50["name"], resnet50["year"], resnet50["input_size"]) == ("ResNet-50", 2015, 224)
    assert resnet50["options"]["stride_on"] == ["1x1", "3x3"]


def test_tables_fit_a_window(architecture, shell, size):
    for line in shell(
        "ledger", architecture.key, "--image_size", str(size), "--num_classes", "10"
    ).splitlines():
        assert len(line) <= 100 and line == line.rstrip()


def test_the_list_fits_a_window(shell):
    assert all(len(line) <= 100 for line in shell("list").splitlines())


def test_json(shell):
    arguments = ("--batch_size", "32", "--precision", "bf16-mixed", "--format", "json")
    found = json.loads(shell("ledger", "googlenet", *arguments))
    ledger = measure("googlenet")
    assert (found["key"], found["image_size"], found["num_classes"]) == ("googlenet", 224, 1000)
    assert (found["parameters"], found["macs"]) == (6_998_552, 1_582_671_872)
    assert found["parameters_with_auxiliary"] == 13_378_280
    assert (found["units"], found["running_statistics"]) == (3_227_160, 0)
    assert found["activation_bytes"] == ledger.activation_bytes(32, "bf16-mixed")
    parts = (*found["layers"], *found["auxiliary_layers"])
    assert sum(layer["activation_bytes"] for layer in parts) == found["activation_bytes"]
    assert sum(layer["parameters"] for layer in found["layers"]) == found["parameters"]
    assert found["layers"][0] == {
        "name": "conv1.0",
        "kind": "conv",
        "stage": "conv1",
        "kernel": "7x7, stride 2",
        "output_shape": [64, 112, 112],
        "parameters": 9_472,
        "macs": 118_013_952,
        "units": 802_816,
        "activation_bytes": ledger.layers[0].activation_bytes(32, "bf16-mixed"),
        "receptive_field": 7,
        "stride": 2,
    }
    stage = next(stage for stage in found["stages"] if stage["name"] == "inception3a")
    assert (stage["output_shape"], stage["receptive_field"], stage["stride"]) == ([256, 28, 28], 59, 8)
    assert (found["layers"][-1]["receptive_field"], found["layers"][-1]["stride"]) == (None, None)


def test_csv(shell):
    rows = list(csv.DictReader(io.StringIO(shell("ledger", "googlenet", "--format", "csv"))))
    ledger = measure("googlenet")
    assert [row["name"] for row in rows] == [one.name for one in (*ledger.layers, *ledger.auxiliary_layers)]
    assert {row["auxiliary"] for row in rows[-8:]} == {"True"} and rows[-9]["auxiliary"] == "False"
    assert sum(int(row["macs"]) for row in rows[:-8]) == ledger.macs
    assert (rows[0]["output_shape"], rows[0]["kernel"]) == ("64x112x112", "7x7, stride 2")
    assert rows[-1]["receptive_field"] == ""


def test_table(shell):
    lines = shell("ledger", "vgg16", "--image_size", "224", "--num_classes", "1000").splitlines()
    assert lines[0].split() == [
        "Layer",
        "Kind",
        "Output",
        "Parameters",
        "MACs",
        "Kept,",
        "MB",
        "Field",
        "Stride",
    ]
    fc6 = next(line for line in lines if line.startswith("fc6"))
    assert fc6.split()[3:5] == ["102,764,544", "102,760,448"]
    totals = {line[2:23].strip(): line[23:].strip() for line in lines if line.startswith("  ")}
    assert totals["Parameters"] == "138,357,544" and totals["MACs"] == "15,470,264,320"
    assert totals["Units"] == "13,556,712" and totals["Activations, MB"] == "69.3"
    assert "with auxiliary heads" not in totals
    assert "with auxiliary heads" in shell("ledger", "googlenet")


def test_options_change_the_network(shell):
    found = json.loads(shell("ledger", "resnet50", "--option", "stride_on=3x3", "--format", "json"))
    assert found["macs"] == 4_089_184_256 and found["options"]["stride_on"] == "3x3"
    small = json.loads(
        shell("ledger", "alexnet", "--image_size", "64", "--num_classes", "10", "--format", "json")
    )
    assert small["parameters"] == measure("alexnet", 10, 64).parameters


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ledger", "vgg61"), "did you mean vgg19 or vgg16"),
        (("ledger", "ResNet-50"), "did you mean resnet50"),
        (("ledger", "zzzz"), "choose one of: alexnet,"),
        (
            ("ledger", "vgg16", "--image_size", "3"),
            "too small for VGG-16; the smallest is 32",
        ),
        (("ledger", "vgg16", "--image_size", "big"), "argument --image_size: invalid int value: 'big'."),
        (("ledger", "vgg16", "--num_classes", "1"), "num_classes is 1; a classifier needs 2 or more."),
        (("ledger", "vgg16", "--batch_size", "0"), "batch_size is 0; it must be 1 or more."),
        (("ledger", "vgg16", "--precision", "64-true"), "argument --precision: invalid choice: '64-true'"),
        (("ledger", "vgg16", "--option", "odd"), "The argument of --option must be NAME=VALUE, not 'odd'."),
        (("ledger", "vgg16", "--option", "a=b"), "VGG-16 has no option 'a'; its options: none."),
        (("ledger", "resnet50", "--option", "stride_on=5x5"), "stride_on of ResNet-50 cannot be '5x5'"),
        (("ledger",), "the following arguments are required: key."),
        (("draw",), "invalid choice: 'draw'"),
        ((), "the following arguments are required: list|ledger."),
    ],
)
def test_nonsense_is_a_sentence(complaint, arguments, sentence):
    assert sentence in complaint(*arguments)


def test_a_command_of_its_own():
    """Without the seconds that Lightning takes, and quiet when whoever reads has seen enough."""
    code = """
import sys
from lightning_modules.__main__ import main
main(["ledger", "alexnet", "--format", "json"])
print(sorted({"pytorch_lightning", "torchmetrics", "torchvision"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.splitlines()[-1], answer.stderr) == ("[]", "")
    command = [sys.executable, "-m", "lightning_modules", "ledger", "resnet152"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
