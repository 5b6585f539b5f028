"""Find the file with the weights that a run starts from."""

from pathlib import Path

from lightning_modules.weights import is_published
from problems import InvalidValue
from tracking import runs
from tracking.store import Store
from tracking.uploads import CHECKPOINTS
from training.problems import NoStart


def find_weights(store: Store, weights: str) -> tuple[str, str]:
    """Find starting weights.

    Args:
        store: The store of the runs.
        weights: ``torchvision``, a checkpoint file, or a run's name or the beginning of its id.

    Returns:
        The weights in the form that `ImageClassifier` takes, and the id of their run, empty if there is none.

    Raises:
        InvalidValue: There is no such file or run, or the run has saved no checkpoint.
        StoreUnavailable: The store cannot be read.
    """
    if is_published(weights):
        return weights, ""
    file = Path(weights).expanduser()
    if file.is_file():
        return str(file.absolute()), ""
    if not weights.strip():
        raise InvalidValue(NoStart.UNNAMED)
    if len(file.parts) > 1 or file.suffix:
        raise InvalidValue(NoStart.NO_FILE, file=weights)
    run = runs.find_run(store, weights)
    for name in CHECKPOINTS:
        checkpoint = store.checkpoint_folder(run.run_id) / name
        if checkpoint.is_file():
            return str(checkpoint), run.run_id
    raise InvalidValue(NoStart.NO_CHECKPOINT_YET, run=run.name)
