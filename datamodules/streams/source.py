"""Lightning's LitData format: chunks in ``train/`` and ``val/``, in a folder or at an address.

``python -m datamodules convert`` writes it. Beside the two splits is ``info.json`` with the class names
and statistics of the pixels. See `datamodules.streams.chunks` for the variants that are supported.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.sources import Source

if TYPE_CHECKING:
    from datamodules.images import Images


def open_folder(root: Path) -> "Images":
    """Open a folder; see `datamodules.streams.streaming.open_folder`."""
    from datamodules.streams import streaming

    return streaming.open_folder(root)


def open_address(address: str) -> "Images":
    """Open an address; see `datamodules.streams.streaming.open_address`."""
    from datamodules.streams import streaming

    return streaming.open_address(address)


SOURCE = Source(
    key="litdata",
    title="LitData, streamed",
    description="A folder or an address (s3://bucket/folder, gs://, hf://datasets/owner/name) in Lightning's "
    "LitData format, as python -m datamodules convert writes it; more than one disk can hold.",
    open=open_folder,
    open_address=open_address,
    root="a folder or an address that holds train/ and val/",
    order=8,
)
