"""Our networks against their counterparts in other libraries, and the weights a run may start from."""

import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, resnet18
from torchvision.models._api import Weights
from torchvision.transforms._presets import ImageClassification

from lightning_modules import registry, weights
from lightning_modules.architecture import Counterpart
from lightning_modules.classifier import ImageClassifier
from lightning_modules.counterparts import (
    Omission,
    build_counterpart,
    from_counterpart,
    list_layers,
    to_counterpart,
)
from lightning_modules.initialisation import draw_he, without_numbers
from lightning_modules.problems import InvalidChoice, NewLayer, UnusableWeights
from lightning_modules.weights import Rescale
from tests.refusals import refused

COUNTERPARTS = {key: one for key, one in registry.architectures().items() if one.counterpart}
RESNET18 = replace(registry.get("resnet18"), counterpart=Counterpart("torchvision", "resnet18"))
VGG16 = replace(registry.get("vgg16"), counterpart=Counterpart("torchvision", "vgg16"))


def build_random(architecture, num_classes, images):
    with without_numbers():
        network = architecture.build(num_classes, len(images[0, 0]), **architecture.counterpart.options)
    return randomise(network.to_empty(device="cpu"), images)


def randomise(network, images):
    """Weights that keep the signal's size, and the running statistics of these images."""
    draw_he(network)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
            layer.reset_running_stats()
            nn.init.uniform_(layer.bias, -0.2, 0.2)
            if layer.weight is not None:
                nn.init.uniform_(layer.weight, 0.5, 1.5)
    if any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()):
        with torch.no_grad():
            network.train()(images)
    return network.eval()


def draw_images(architecture):
    """Two images, small where no layer's shape depends on the size, otherwise of the paper's."""
    small = max(64, architecture.minimum_size)
    with without_numbers():
        states = [architecture.build(7, size).state_dict() for size in (small, architecture.input_size)]
    first, second = ([tensor.shape for tensor in state.values()] for state in states)
    size = small if first == second else architecture.input_size
    return torch.randn(2, 3, size, size)


def counterpart_of(architecture, num_classes):
    if architecture.counterpart.library == "timm":
        pytest.importorskip("timm")
    with without_numbers():
        return build_counterpart(architecture.counterpart, num_classes).eval()


def assert_same_logits(ours, theirs, images):
    with torch.no_grad():
        expected, found = ours(images), theirs(images)
    scale = expected.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * scale  # they depend on the image
    torch.testing.assert_close(found / scale, expected / scale, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("key", COUNTERPARTS)
def test_the_counterpart_gives_the_same_logits(key):
    architecture = COUNTERPARTS[key]
    theirs = counterpart_of(architecture, 7)
    images = draw_images(architecture)
    ours = build_random(architecture, 7, images)
    state = to_counterpart(architecture, ours.state_dict())
    theirs.load_state_dict(state, assign=True)
    assert_same_logits(ours, theirs, images)
    back = from_counterpart(architecture, ours, theirs.state_dict())
    assert back.omissions == ()
    assert back.state.keys() == ours.state_dict().keys()
    assert all(torch.equal(tensor, ours.state_dict()[name]) for name, tensor in back.state.items())


@pytest.mark.parametrize(
    "key", [key for key, one in COUNTERPARTS.items() if one.counterpart.name in weights.RESCALED]
)
def test_published_weights_see_what_torchvision_shows_them(key):
    architecture = COUNTERPARTS[key]
    theirs = get_model(
        architecture.counterpart.name, weights=None, init_weights=False, transform_input=True
    ).eval()
    images = draw_images(architecture)
    ours = build_random(architecture, 1000, images)
    theirs.load_state_dict(to_counterpart(architecture, ours.state_dict()), assign=True)
    assert_same_logits(nn.Sequential(Rescale(), ours), theirs, images)


def test_rescaled_pixels_are_those_from_minus_one_to_one():
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (weights.MEAN, weights.DEVIATION))
    pixels = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(Rescale()((pixels - mean) / deviation), 2 * pixels - 1)


def test_published_errors_and_their_protocol():
    entry = weights.published_weights(RESNET18)
    assert entry is get_model_weights("resnet18").IMAGENET1K_V1
    assert weights.read_errors(entry) == (30.242, 10.922)
    assert weights.read_protocol(entry) == "ILSVRC2012 val, resize 256, center crop 224, bilinear"
    assert weights.published_hash(entry) == "f37072fd"


def test_every_torchvision_counterpart_has_published_weights():
    for architecture in COUNTERPARTS.values():
        if architecture.counterpart.library == "torchvision":
            entry = weights.published_weights(architecture, architecture.counterpart.options)
            assert weights.read_errors(entry) and weights.published_hash(entry)


def test_which_published_weights_can_be_asked_for():
    resnet50 = replace(
        registry.get("resnet50"),
        counterpart=Counterpart("torchvision", "resnet50", options={"stride_on": "3x3"}),
    )
    options = {"stride_on": "3x3"}
    second = weights.published_weights(resnet50, options, "torchvision:IMAGENET1K_V2")
    assert second.name == "IMAGENET1K_V2"
    with refused(UnusableWeights.NO_SUCH_NAME, name="V3", allowed="IMAGENET1K_V1, IMAGENET1K_V2"):
        weights.published_weights(resnet50, options, "torchvision:V3")
    with refused(UnusableWeights.PUBLISHED_FOR_OPTION, option="stride_on", theirs="3x3", ours="1x1"):
        weights.published_weights(resnet50)
    with refused(UnusableWeights.NOT_PUBLISHED, network="AlexNet"):
        weights.published_weights(replace(registry.get("alexnet"), counterpart=None))
    # The features of VGG-16 alone are published without a classifier and without an error.
    with refused(UnusableWeights.NO_SUCH_NAME, allowed="IMAGENET1K_V1"):
        weights.published_weights(VGG16, weights="torchvision:IMAGENET1K_FEATURES")


def publish(file, url=None, **metrics):
    """An entry as torchvision has them, of a file of this machine."""
    value = Weights(
        url=url or file.as_uri(),
        transforms=partial(ImageClassification, crop_size=224),
        meta={"num_params": 0, "_metrics": {"ImageNet-1K": {"acc@1": 70.0, "acc@5": 90.0} | metrics}},
    )
    return WeightsEnum("Local_Weights", {"IMAGENET1K_V1": value}).IMAGENET1K_V1


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch's cache of downloads, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return tmp_path / "hub" / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def published_file(tmp_path_factory):
    """Weights of a torchvision network, saved as torchvision names its files."""
    torch.manual_seed(1)
    file = tmp_path_factory.mktemp("published") / "resnet18.pth"
    torch.save(randomise(resnet18(), torch.randn(2, 3, 64, 64)).state_dict(), file)
    return file.rename(file.with_name(f"resnet18-{weights.hash_file(file)[:8]}.pth"))


def test_published_weights_arrive_whole(published_file, hub):
    network = RESNET18.build(1000, 64)
    start = weights.start_from_published(publish(published_file), RESNET18, network)
    theirs = resnet18()
    theirs.load_state_dict(torch.load(published_file, weights_only=True))
    assert_same_logits(network.eval(), theirs.eval(), torch.randn(2, 3, 64, 64))
    assert start.omissions == () and not start.rescales
    assert (hub / published_file.name).is_file()
    assert start.record() == {
        "weights.source": "torchvision Local_Weights.IMAGENET1K_V1",
        "weights.sha256": published_file.stem.removeprefix("resnet18-"),
        "weights.published_error_top1": 30.0,
        "weights.published_error_top5": 10.0,
        "weights.protocol": "ILSVRC2012 val, resize 256, center crop 224, bilinear",
    }
    # The second time from the cache, and without the counts that older files lack.
    old = {
        name: tensor
        for name, tensor in weights.download(publish(published_file), "ResNet-18").items()
        if not name.endswith("num_batches_tracked")
    }
    assert from_counterpart(RESNET18, network, old).state.keys() == network.state_dict().keys()


def test_other_classes_initialise_the_classifier(published_file, hub):
    network = RESNET18.build(20, 64)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start = weights.start_from_published(publish(published_file), RESNET18, network)
    assert start.omissions == (Omission("fc", NewLayer.OTHER_CLASSES, 1000, 20),)
    assert start.record()["weights.new_layers"] == str(start.omissions[0])
    after = network.state_dict()
    assert {name for name in before if torch.equal(before[name], after[name])} >= {"fc.weight", "fc.bias"}
    assert not torch.equal(before["conv1.0.weight"], after["conv1.0.weight"])


def test_another_image_size_initialises_the_first_linear_layer():
    with without_numbers():
        state, network = VGG16.build(1000, 224).state_dict(), VGG16.build(1000, 64)
    assert to_counterpart(VGG16, state).keys() == build_counterpart_of_vgg().state_dict().keys()
    fitted = from_counterpart(VGG16, network, to_counterpart(VGG16, state))
    assert fitted.omissions == (Omission("fc6.1", NewLayer.OTHER_IMAGE_SIZE, 25088, 2048),)
    with refused(UnusableWeights.CANNOT_HOLD, name="vgg16") as caught:
        to_counterpart(VGG16, network.state_dict())
    assert caught.value.values["reason"].layer == "classifier.0"


def build_counterpart_of_vgg():
    with without_numbers():
        return build_counterpart(VGG16.counterpart, 1000)


def test_untrained_heads_are_initialised():
    """torchvision's googlenet comes with heads that nobody has trained."""
    network = registry.get("googlenet").build(10, 64)
    bare = {name: one for name, one in network.state_dict().items() if not name.startswith("auxiliary")}
    fitted = weights.match(bare, network.state_dict(), ("aux",), ("auxiliary",), "GoogLeNet")
    assert fitted.state.keys() == bare.keys()
    assert fitted.omissions == tuple(
        Omission(head, NewLayer.UNTRAINED) for head in ("auxiliary1", "auxiliary2")
    )


def test_each_head_has_a_classifier_of_its_own():
    googlenet = registry.get("googlenet")
    state, network = googlenet.build(10, 64).state_dict(), googlenet.build(20, 64)
    fitted = weights.match(state, network.state_dict(), ("auxiliary",), ("auxiliary",), "GoogLeNet")
    assert [one.layer for one in fitted.omissions] == ["fc", "auxiliary1.7", "auxiliary2.7"]


def test_what_does_not_fit_names_both_sides():
    with without_numbers():
        state = resnet18().state_dict()
    deeper = replace(registry.get("resnet50"), counterpart=Counterpart("torchvision", "resnet50"))
    sides = {
        "our_layer": "conv2.0.residual.0",
        "ours": "weight 64 x 64 x 1 x 1",
        "their_layer": "layer1.0.conv1",
        "theirs": "weight 64 x 64 x 3 x 3",
    }
    with refused(UnusableWeights.OTHER_LAYER, network="ResNet-50", **sides):
        from_counterpart(deeper, deeper.build(10, 64), state)
    shorter = dict(list(state.items())[:-2])
    with refused(UnusableWeights.OTHER_DEPTH, ours=41, theirs=40):
        from_counterpart(RESNET18, RESNET18.build(10, 64), shorter)
    assert len(list_layers(state)) == 41


def test_a_cached_file_with_another_hash_is_refused(published_file, hub):
    entry = publish(published_file)
    hub.mkdir(parents=True)
    (hub / published_file.name).write_bytes(b"something else")
    with refused(UnusableWeights.CACHED_FILE_DIFFERS, file=hub / published_file.name):
        weights.download(entry, "ResNet-18")


def test_a_download_with_another_hash_is_refused(published_file, hub, tmp_path):
    other = shutil.copy(published_file, tmp_path / "resnet18-00000000.pth")
    with refused(UnusableWeights.DAMAGED_DOWNLOAD, network="ResNet-18"):
        weights.download(publish(other), "ResNet-18")
    assert not list(hub.iterdir())


def test_without_a_connection_it_says_where_to_put_the_file(hub):
    entry = publish(None, url="http://127.0.0.1:9/models/resnet18-f37072fd.pth")
    place = {"host": "127.0.0.1", "name": "resnet18-f37072fd.pth", "folder": hub}
    with refused(UnusableWeights.NOT_DOWNLOADED, **place) as error:
        weights.download(entry, "ResNet-18")
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A run's checkpoint of a small network."""
    file = tmp_path_factory.mktemp("run") / "last.ckpt"
    save(ImageClassifier("resnet18", 10, 32), file)
    return file


def save(module, file):
    trainer = Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.strategy.connect(module)
    trainer.save_checkpoint(file, weights_only=True)


@pytest.mark.parametrize("recipe", ["paper", "quick"])  # quick draws from He's distribution first
def test_a_run_goes_on_from_another(checkpoint, recipe):
    module = ImageClassifier("resnet18", 10, 64, recipe, weights=str(checkpoint))
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, saved[name]) for name, tensor in module.state_dict().items())
    assert module.start.record() == {
        "weights.source": str(checkpoint),
        "weights.sha256": weights.hash_file(checkpoint),
    }


def test_a_run_for_other_classes_names_the_new_layers(checkpoint):
    module = ImageClassifier("resnet18", 3, 64, weights=str(checkpoint))
    assert module.start.omissions == (Omission("fc", NewLayer.OTHER_CLASSES, 10, 3),)


def test_a_checkpoint_does_not_need_what_it_started_from(checkpoint, tmp_path):
    first = tmp_path / "first.ckpt"
    shutil.copy(checkpoint, first)
    module = ImageClassifier("resnet18", 10, 32, weights=str(first))
    save(module, tmp_path / "second.ckpt")
    first.unlink()
    loaded = ImageClassifier.load_from_checkpoint(tmp_path / "second.ckpt", weights_only=True)
    assert "weights" not in loaded.hparams and loaded.start is None


def test_rescaling_is_inherited(tmp_path):
    module = ImageClassifier("resnet18", 10, 32)
    module.rescale = Rescale()
    save(module, tmp_path / "first.ckpt")
    child = ImageClassifier("resnet18", 10, 32, weights=str(tmp_path / "first.ckpt"))
    assert isinstance(child.rescale, Rescale)
    save(child, tmp_path / "second.ckpt")
    loaded = ImageClassifier.load_from_checkpoint(tmp_path / "second.ckpt", weights_only=True).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), module.eval()(images))
        assert not torch.allclose(loaded(images), module.network(images), rtol=1e-3)


class Canary:
    """Unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (self.trace.write_text, ("it ran",))


def test_a_checkpoint_runs_no_code(tmp_path):
    trace = tmp_path / "trace"
    content = {"hyper_parameters": {"architecture": "resnet18"}, "state_dict": {}, "canary": Canary(trace)}
    torch.save(content, tmp_path / "evil.ckpt")
    torch.save(content, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    for name, code in (("evil", UnusableWeights.HAS_CODE), ("old", UnusableWeights.INCOMPLETE)):
        with refused(code, file=tmp_path / f"{name}.ckpt"):
            ImageClassifier("resnet18", 10, 32, weights=str(tmp_path / f"{name}.ckpt"))
    assert not trace.exists()
    torch.load(tmp_path / "evil.ckpt", weights_only=False)
    assert trace.exists()  # the canary is alive


def test_what_is_no_checkpoint_is_one_sentence(checkpoint, tmp_path):
    whole = checkpoint.read_bytes()
    tensors = torch.load(checkpoint, weights_only=True)["state_dict"]
    files = {
        "cut.ckpt": (whole[: len(whole) // 2], UnusableWeights.INCOMPLETE),
        "empty.ckpt": (b"", UnusableWeights.INCOMPLETE),
        "text.ckpt": (b"weights\n" * 100, UnusableWeights.INCOMPLETE),
        "docs.zip": (None, UnusableWeights.NOT_A_CHECKPOINT),
        "bare.ckpt": (tensors, UnusableWeights.NAMES_NO_NETWORK),
        "list.ckpt": ([1, 2], UnusableWeights.NAMES_NO_NETWORK),
        "lenet.ckpt": (
            {"hyper_parameters": {"architecture": "lenet"}, "state_dict": tensors},
            InvalidChoice.SIMILAR_NETWORK,
        ),
        "odd.ckpt": (
            {"hyper_parameters": {"architecture": ["resnet18"]}, "state_dict": tensors},
            UnusableWeights.NAMES_NO_NETWORK,
        ),
        "vgg16.ckpt": (
            {"hyper_parameters": {"architecture": "vgg16"}, "state_dict": tensors},
            UnusableWeights.OTHER_NETWORK,
        ),
        "absent.ckpt": (None, UnusableWeights.NO_FILE),
    }
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "one.txt").write_text("a page")
    shutil.make_archive(str(tmp_path / "docs"), "zip", tmp_path / "pages")
    for name, (content, code) in files.items():
        file = tmp_path / name
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif content is not None:
            torch.save(content, file)
        with refused(code) as error:
            ImageClassifier("resnet18", 10, 32, weights=str(file))
        assert "\n" not in str(error.value)


def test_other_options_are_another_network(tmp_path):
    save(ImageClassifier("resnet50", 10, 32), tmp_path / "last.ckpt")
    with refused(UnusableWeights.OTHER_OPTION, option="stride_on", theirs="1x1", ours="3x3"):
        ImageClassifier("resnet50", 10, 32, options={"stride_on": "3x3"}, weights=str(tmp_path / "last.ckpt"))


def test_a_check_needs_no_numbers(checkpoint):
    with without_numbers():
        network = RESNET18.build(20, 64)
    weights.check_weights(str(checkpoint), RESNET18, network, {})
    with refused(UnusableWeights.OTHER_NETWORK, theirs="ResNet-18", ours="VGG-16"):
        weights.check_weights(str(checkpoint), VGG16, network, {})
    weights.check_weights("torchvision", RESNET18, network, {})
