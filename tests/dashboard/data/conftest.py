"""Three classes of ImageNet in a folder, on its own and added to the list."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.known_folders import add_folder
from jobs.preflight.allowed_paths import VARIABLE
from tests.dashboard.data.looking import CLASSES
from tests.datamodules.s3_server import server as server
from tracking.store import Store


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of ImageNet: 4, 5 and 6 images to train on, 2 each to validate; one cannot be read."""
    root = tmp_path / "images"
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(4 + label if split == "train" else 2):
                pixels = np.full((40, 60, 3), 40 * number, dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{name}_{number}.JPEG")
    (root / "val" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG").write_bytes(b"<html>404</html>")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return root


@pytest.fixture
def added(images: Path, empty_store: Store) -> str:
    return add_folder(empty_store, "folder", str(images)).key
