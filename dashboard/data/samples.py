"""Images small enough to be part of a page."""

import base64
import io
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from dashboard.data.data_sets import DataSet, name_of, open_images, split_of

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 150
# What is smaller is shown enlarged, each pixel a square.
TINY = 75


class Sample(NamedTuple):
    """One image of a data set for the page; without an address it cannot be read, and `problem` says why."""

    name: str
    address: str
    width: int
    height: int
    problem: str = ""


def read_sample(data_set: DataSet, split: str, index: int) -> Sample:
    """Read one image as a training would, and make it small."""
    return _read(data_set, split, index, data_set.stamp)


def to_address(pixels: "Tensor", side: int) -> str:
    """Write pixels (uint8, 3 x height x width) as an address that holds the image itself.

    Args:
        pixels: Larger ones than `side` become smaller.
        side: The longer side of the result at most.
    """
    from PIL import Image

    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "PNG" if max(image.size) <= TINY else "JPEG", quality=88)
    kind = "png" if max(image.size) <= TINY else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode()}"


def picture(address: str, text: str) -> str:
    """Write an image as HTML.

    Args:
        address: As `to_address` gives it.
        text: What it shows, for those who do not see it.
    """
    return f'<img src="{address}" alt="{escape(text, quote=True)}" loading="lazy" decoding="async">'


@st.cache_data(max_entries=4096, show_spinner=False, hash_funcs={DataSet: lambda one: one.key})
def _read(data_set: DataSet, split: str, index: int, stamp: tuple[int, ...]) -> Sample:
    from datamodules.problems import UnreadableImage

    part = split_of(open_images(data_set), split)
    name = name_of(part, index)
    try:
        pixels = part.read(index)
    except UnreadableImage as problem:
        return Sample(name, "", 0, 0, str(problem))
    return Sample(name, to_address(pixels, SIDE), pixels.shape[2], pixels.shape[1])
