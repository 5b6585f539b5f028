"""What the network sees: one image under the augmentation of each recipe, by the datamodule that trains."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from dashboard.data.data_sets import DataSet, class_names, name_of, open_images, split_of
from dashboard.data.fields import SIZES, choose_split
from dashboard.data.meanings import class_label, meanings
from dashboard.data.samples import picture, to_address
from dashboard.networks import catalogue
from dashboard.widgets import formatting
from dashboard.widgets.problems import show_problem

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.imagenet import ImageNetDataModule
    from datamodules.images import Images

DRAWS = 5
SIDE = 192


class View(NamedTuple):
    """One view of an image: an address that holds it, and what to say below."""

    address: str
    caption: str = ""


def show_sight(data_set: DataSet) -> None:
    """Show an image as it is validated, and some draws of each augmentation.

    Raises:
        DataError: the data set cannot be opened.
    """
    images = open_images(data_set)
    split, index, size, roll = _choose(images)
    part = split_of(images, split)
    name = class_names(images)[part.label(index)]
    word = class_label(name, meanings([name])[0])
    st.markdown(f"**{formatting.plain(word)}** :gray[{formatting.plain(name_of(part, index))}]")
    users = users_of_augmentations()
    with st.spinner("Loading the image libraries (once after a start) …"):
        import_module("datamodules.imagenet")
    from datamodules.pixels.augmentation import AUGMENTATIONS
    from datamodules.problems import UnreadableImage

    try:
        whole, seen = _validated(data_set, data_set.stamp, split, index, size)
    except UnreadableImage as problem:
        show_problem(f"It cannot be read, and training skips it: {problem}")
        return
    note = "Nothing is random: short side 256, then the center 224 px."
    st.html(strip("Validation", note, "", [View(whole, "the image"), View(seen, "what is seen")]))
    for augmentation in AUGMENTATIONS.values():
        views = _draw(data_set, data_set.stamp, split, index, size, roll, augmentation.name)
        used = users.get(augmentation.name, "not part of a recipe; selected on the Launch page")
        st.html(strip(augmentation.name, augmentation.description, used, views))


def users_of_augmentations() -> dict[str, str]:
    """Describe which recipes of which families use each augmentation."""
    users: dict[str, dict[str, dict[str, None]]] = {}
    for one in catalogue.architectures().values():
        for recipe, settings in one.recipes.items():
            users.setdefault(settings.augmentation, {}).setdefault(recipe, {})[one.family] = None
    families = len({one.family for one in catalogue.architectures().values()})
    return {
        augmentation: " · ".join(
            f"{recipe} recipe of {'all families' if len(names) == families else ', '.join(names)}"
            for recipe, names in recipes.items()
        )
        for augmentation, recipes in users.items()
    }


def _choose(images: "Images") -> tuple[str, int, int, int]:
    """Ask for split, image and size; give them and the roll."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        split = choose_split()
        last = len(split_of(images, split)) - 1
        st.session_state["image"] = min(st.session_state["image"], last)
        index = st.number_input("Image", 0, last, key="image", width=140, help=f"From 0 to {last:,}")
        size = st.number_input("Image size, px", *SIZES, step=8, width=140, key="size")
        st.button(
            "Draw again",
            icon=":material/casino:",
            on_click=_roll,
            type="primary",
            help="New random crops and colours; the page's address keeps them",
        )
    return split, int(index), int(size), int(st.session_state["roll"])


def _roll() -> None:
    st.session_state["roll"] += 1


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs={DataSet: lambda one: one.key})
def _validated(
    data_set: DataSet, stamp: tuple[int, ...], split: str, index: int, size: int
) -> tuple[str, str]:
    """Look at an image as a whole, and with the eyes of a validation. Raises UnreadableImage."""
    datamodule = _datamodule(data_set, split, size)
    whole = datamodule.images.val.read(index)
    batch = datamodule.validation_images()[[index]]
    pixels, _ = datamodule.on_after_batch_transfer(datamodule.on_before_batch_transfer(batch, 0), 0)
    return to_address(whole, SIDE), to_address(_to_pixels(datamodule.images, pixels)[0], SIDE)


@st.cache_data(max_entries=1024, show_spinner=False, hash_funcs={DataSet: lambda one: one.key})
def _draw(
    data_set: DataSet,
    stamp: tuple[int, ...],
    split: str,
    index: int,
    size: int,
    roll: int,
    augmentation: str,
) -> list[View]:
    """Look at an image some times with the eyes of a training."""
    from datamodules.pixels import augmentation as augmentations
    from datamodules.reading.dataset import TrainingImages
    from datamodules.reading.sampling import Draw

    datamodule = _datamodule(data_set, split, size, augmentation)
    images, chosen = datamodule.images, augmentations.get(augmentation)
    dataset = TrainingImages(images.train, chosen, size, images.can_mirror)
    draws = [Draw(index, roll * DRAWS + number) for number in range(DRAWS)]
    if chosen.mixes:
        # Images are mixed with the one before them in the batch: here another one stands before each.
        total = len(images.train)
        others = [(index + number * total // (DRAWS + 1)) % total for number in range(1, DRAWS + 1)]
        pairs = zip(map(Draw, others, range(DRAWS)), draws, strict=True)
        draws = [draw for pair in pairs for draw in pair]
    pixels, labels = datamodule.finish(*datamodule.on_before_batch_transfer(dataset[draws], 0))
    shown = [to_address(one, SIDE) for one in _to_pixels(images, pixels)]
    if not chosen.mixes:
        return [View(address) for address in shown]
    captions = [mixture(class_names(images), shares) for shares in labels.tolist()]
    return list(map(View, shown[1::2], captions[1::2]))


def mixture(names: Sequence[str], shares: Sequence[float]) -> str:
    """Describe which classes an image is taken for: `63 % tench + 37 % dog`."""
    found = sorted((label for label, share in enumerate(shares) if share > 0), key=lambda one: -shares[one])
    words = [class_label(names[label], meanings([names[label]])[0]) for label in found]
    return " + ".join(f"{shares[label]:.0%} {word}" for label, word in zip(found, words, strict=True))


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


def _to_pixels(images: "Images", normalised: "Tensor") -> "Tensor":
    """Undo the normalisation, for eyes: uint8, N x 3 x S x S."""
    import torch

    mean, std = (torch.tensor(one)[:, None, None] for one in (images.mean, images.std))
    return ((normalised.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def strip(title: str, note: str, used: str, views: Sequence[View]) -> str:
    """Write views of an image beside each other as HTML, after what made them and where it is used."""
    figures = "".join(
        f"<figure>{picture(view.address, f'{title} {number}')}"
        f"{f'<figcaption>{escape(view.caption)}</figcaption>' if view.caption else ''}</figure>"
        for number, view in enumerate(views, 1)
    )
    text = f"<b>{escape(title)}</b><span>{escape(note)}</span>" + (f"<i>{escape(used)}</i>" if used else "")
    return f'<div class="sight"><p>{text}</p><div>{figures}</div></div>'
