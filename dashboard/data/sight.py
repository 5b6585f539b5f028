"""What the network sees: one image under the augmentation of each recipe, by the datamodule that trains."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import catalogue, formatting
from dashboard.data.data_sets import DataSet, name_of, open_images, split_of
from dashboard.data.frame import SIZES
from dashboard.data.meanings import class_label, meanings
from dashboard.data.samples import picture, to_address
from dashboard.errors import show_problem

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.dataset import Batch
    from datamodules.imagenet import ImageNetDataModule

DRAWS = 5
SIDE = 192


def show_sight(data_set: DataSet) -> None:
    """Show an image as it is validated, and some draws of each augmentation.

    Raises:
        DataError: the data set cannot be opened.
    """
    images, split = open_images(data_set), st.session_state["split"]
    part = split_of(images, split)
    size, index, roll = _choose(len(part))
    name = images.class_names[part.label(index)]
    word = class_label(name, meanings([name])[0])
    st.markdown(f"**{formatting.plain(word)}** :gray[{formatting.plain(name_of(part, index))}]")
    catalogue.architectures()
    from datamodules.augmentation import AUGMENTATIONS
    from datamodules.images import UnreadableImage

    try:
        whole, seen = _validated(data_set, data_set.stamp, split, index, size)
    except UnreadableImage as problem:
        show_problem(f"It cannot be read, and training leaves it out: {problem}")
        return
    st.html(strip("Validation", "nothing is left to chance", [whole, seen], ["the image", "what is seen"]))
    users = users_of_augmentations()
    for augmentation in AUGMENTATIONS:
        draws = _draws(data_set, data_set.stamp, split, index, size, roll, augmentation)
        st.html(strip(augmentation, users.get(augmentation, ""), draws))


def users_of_augmentations() -> dict[str, str]:
    """Say which recipes of which families use each augmentation."""
    users: dict[str, dict[str, dict[str, None]]] = {}
    for one in catalogue.architectures().values():
        for recipe, settings in one.recipes.items():
            users.setdefault(settings.augmentation, {}).setdefault(recipe, {})[one.family] = None
    families = len({one.family for one in catalogue.architectures().values()})
    return {
        augmentation: " · ".join(
            f"{recipe}: {'all families' if len(names) == families else ', '.join(names)}"
            for recipe, names in recipes.items()
        )
        for augmentation, recipes in users.items()
    }


def _choose(num_images: int) -> tuple[int, int, int]:
    st.session_state["image"] = min(st.session_state["image"], num_images - 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        index = st.number_input("Image", 0, num_images - 1, key="image", width=150)
        size = st.number_input("Image size, px", *SIZES, step=8, width=150, key="size")
        st.button("Roll again", icon=":material/casino:", on_click=_roll, type="primary")
        st.caption(f"Roll {st.session_state['roll'] + 1}")
    return int(size), int(index), int(st.session_state["roll"])


def _roll() -> None:
    st.session_state["roll"] += 1


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs={DataSet: lambda one: one.key})
def _validated(
    data_set: DataSet, stamp: tuple[int, ...], split: str, index: int, size: int
) -> tuple[str, str]:
    """Look at an image as a whole, and with the eyes of a validation. Raises UnreadableImage."""
    datamodule = _datamodule(data_set, split, size)
    whole = datamodule.images.val.read(index)
    batch = datamodule.val_dataloader().dataset[[index]]
    return to_address(whole, SIDE), to_address(_seen(datamodule, batch)[0], SIDE)


@st.cache_data(max_entries=1024, show_spinner=False, hash_funcs={DataSet: lambda one: one.key})
def _draws(
    data_set: DataSet,
    stamp: tuple[int, ...],
    split: str,
    index: int,
    size: int,
    roll: int,
    augmentation: str,
) -> list[str]:
    """Look at an image some times with the eyes of a training."""
    from datamodules import augmentation as augmentations
    from datamodules.dataset import TrainingImages
    from datamodules.sampling import Draw

    datamodule = _datamodule(data_set, split, size, augmentation)
    images = datamodule.images
    dataset = TrainingImages(images.train, augmentations.get(augmentation), size, images.can_mirror)
    batch = dataset[[Draw(index, roll * DRAWS + number) for number in range(DRAWS)]]
    return [to_address(pixels, SIDE) for pixels in _seen(datamodule, batch)]


def _datamodule(
    data_set: DataSet, split: str, size: int, augmentation: str | None = None
) -> "ImageNetDataModule":
    """Make a datamodule that trains and validates on one split alone."""
    from datamodules.imagenet import ImageNetDataModule

    datamodule = ImageNetDataModule(
        data_set.source.key,
        data_set.root or None,
        image_size=size,
        batch_size=1,
        augmentation=augmentation,
        num_workers=0,
    )
    part = split_of(datamodule.images, split)
    datamodule.images = replace(datamodule.images, train=part, val=part)
    return datamodule


def _seen(datamodule: "ImageNetDataModule", batch: "Batch") -> "Tensor":
    """Take a batch the whole way to the network, and back to what eyes can see.

    Returns:
        uint8, N x 3 x S x S.
    """
    import torch

    images, _ = datamodule.on_after_batch_transfer(datamodule.on_before_batch_transfer(batch, 0), 0)
    mean, std = (torch.tensor(one)[:, None, None] for one in (datamodule.images.mean, datamodule.images.std))
    return ((images.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def strip(title: str, note: str, views: Sequence[str], captions: Sequence[str] = ()) -> str:
    """Write views of an image beside each other as HTML, each with a caption if there are any."""
    texts = captions or [f"draw {number}" for number in range(1, len(views) + 1)]
    figures = "".join(
        f"<figure>{picture(view, f'{title}, {text}')}"
        f"{f'<figcaption>{escape(text)}</figcaption>' if captions else ''}</figure>"
        for view, text in zip(views, texts, strict=True)
    )
    return f'<div class="sight"><p><b>{escape(title)}</b>{escape(note)}</p><div>{figures}</div></div>'
