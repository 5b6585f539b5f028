"""Export of a run's network as a state dict of the library that has the same network."""

from pathlib import Path

import torch

from lightning_modules.counterparts import counterpart_of, to_counterpart
from lightning_modules.weights import is_published, read_checkpoint
from problems import InvalidValue
from tracking.store import Store
from training.problems import NoExport
from training.starting import find_weights


def export(store: Store, weights: str, output: Path) -> str:
    """Write a run's weights under the names of the same network in torchvision or timm.

    Args:
        store: The store of the runs.
        weights: A run's name or the beginning of its id, or a checkpoint file.
        output: The file to write with `torch.save`; it must not exist yet.

    Returns:
        One sentence: what was written and how to load it.

    Raises:
        InvalidValue: There are no such weights, no library has this network, or its network cannot hold these
            weights.
        StoreUnavailable: The store cannot be read.
    """
    if is_published(weights):
        raise InvalidValue(NoExport.PUBLISHED, weights=weights)
    checkpoint = read_checkpoint(Path(find_weights(store, weights)[0]))
    architecture = checkpoint.architecture
    counterpart = counterpart_of(architecture)
    library, name = counterpart.library, counterpart.name
    for option, theirs in counterpart.options.items():
        if (ours := checkpoint.options[option]) != theirs:
            values = {"option": option, "theirs": theirs, "ours": ours}
            network = architecture.name
            raise InvalidValue(NoExport.OTHER_OPTION, library=library, name=name, network=network, **values)
    state = to_counterpart(architecture, checkpoint.state)
    if output.exists():
        raise InvalidValue(NoExport.FILE_EXISTS, file=output)
    try:
        torch.save(state, output)
    except (OSError, RuntimeError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise InvalidValue(NoExport.NOT_WRITTEN, file=output, said=said) from error
    rescaled = " with transform_input=True" if checkpoint.rescales else ""
    return f"{output} contains a state dict for {library}'s {name}{rescaled}."
