"""Every architecture of the registry in turn, what was published about it, and a small one of each."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules import registry
from lightning_modules.architecture import Architecture
from lightning_modules.initialisation import without_numbers

THIRD_PARTY = (
    # Lightning 2.6 looks at torch's trees the old way.
    "ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning",
    # Its advice about speed, which four images do not need.
    "ignore:The '(train|val)_dataloader' does not have many workers",
    "ignore:The number of training batches .* is smaller than the logging interval",
)

FACTS: dict[str, Any] = {}
for path in sorted(Path(__file__).with_name("facts").glob("*.toml")):
    FACTS |= tomllib.loads(path.read_text())


def pytest_configure(config: pytest.Config) -> None:
    for line in THIRD_PARTY:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Maps this small gain little from two threads, which wait for each other where others work too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", params=registry.architectures().values(), ids=lambda one: one.key)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return request.param


@pytest.fixture
def facts(architecture: Architecture) -> dict[str, Any]:
    if architecture.key not in FACTS:
        pytest.skip(f"nothing published about {architecture.key} is noted in facts/")
    return FACTS[architecture.key]


@pytest.fixture(scope="session")
def size(architecture: Architecture) -> int:
    """Small images that the network takes: 64 pixels, its own size if that is less, its least if more."""
    return max(min(64, architecture.input_size), architecture.minimum_size)


@pytest.fixture(scope="session")
def network(architecture: Architecture, size: int) -> nn.Module:
    """A real one for 10 classes and small images. Shared: set its mode, leave its weights alone.

    It has seen one batch, for batch normalisation to know how large its maps are.
    """
    torch.manual_seed(0)
    network = architecture.build(10, size)
    with torch.no_grad():
        network.train()(torch.randn(2, 3, size, size))
    return network


@pytest.fixture(scope="session")
def full_size(architecture: Architecture) -> nn.Module:
    """One for the paper's classes and size, without numbers in it."""
    with without_numbers():
        return architecture.build()
