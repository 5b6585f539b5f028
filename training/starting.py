"""From what a run names as its starting weights to the file that holds them."""

from pathlib import Path

from lightning_modules.weights import is_published
from tracking import runs
from tracking.store import Store
from tracking.uploads import CHECKPOINTS


def find_weights(store: Store, weights: str) -> tuple[str, str]:
    """Finds starting weights.

    Args:
        store: Where runs are.
        weights: ``torchvision``, a checkpoint file, or a run's name or the beginning of its id.

    Returns:
        What `ImageClassifier` takes, and the id of the run they are from, empty where it is none.

    Raises:
        ValueError: There is no such file or run, or it has saved no checkpoint; one sentence.
        StoreUnavailable: The store cannot be read.
    """
    if is_published(weights):
        return weights, ""
    file = Path(weights).expanduser()
    if file.is_file():
        return str(file.absolute()), ""
    if not weights.strip():
        raise ValueError("Name the run or the checkpoint file whose weights to start from.")
    if len(file.parts) > 1 or file.suffix:
        raise ValueError(f"There is no checkpoint {weights}.")
    run = runs.find_run(store, weights)
    for name in CHECKPOINTS:
        checkpoint = store.checkpoint_folder(run.run_id) / name
        if checkpoint.is_file():
            return str(checkpoint), run.run_id
    raise ValueError(f"{run.name} has saved no checkpoint yet; choose another run.")
