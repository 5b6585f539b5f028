"""A run's network as a state dict of the library that has the same one."""

from pathlib import Path

import torch

from lightning_modules.counterparts import counterpart_of, to_counterpart
from lightning_modules.weights import is_published, read_checkpoint
from tracking.store import Store
from training.starting import find_weights


def export(store: Store, weights: str, output: Path) -> str:
    """Writes a run's weights under the names of the same network in torchvision or timm.

    Args:
        store: Where runs are.
        weights: A run's name or the beginning of its id, or a checkpoint file.
        output: The file to write, as `torch.save` does; it must not exist yet.

    Returns:
        What was written and how to load it, one sentence.

    Raises:
        ValueError: There are no such weights, no library has this network, or it cannot hold these weights.
        StoreUnavailable: The store cannot be read.
    """
    if is_published(weights):
        raise ValueError(f"{weights} names no run and no checkpoint; what torchvision publishes it has.")
    checkpoint = read_checkpoint(Path(find_weights(store, weights)[0]))
    architecture = checkpoint.architecture
    counterpart = counterpart_of(architecture)
    for option, value in counterpart.options.items():
        if checkpoint.options[option] != value:
            raise ValueError(
                f"{counterpart.library}'s {counterpart.name} is {architecture.name} with {option} {value}, "
                f"not {checkpoint.options[option]}."
            )
    state = to_counterpart(architecture, checkpoint.state)
    if output.exists():
        raise ValueError(f"{output} is there already; name another file.")
    try:
        torch.save(state, output)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{output} cannot be written: {str(error).splitlines()[0]}.") from error
    rescaled = " with transform_input=True" if checkpoint.rescales else ""
    return f"{output} holds a state dict for {counterpart.library}'s {counterpart.name}{rescaled}."
