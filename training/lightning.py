"""Imports Lightning; a module that begins a process with it imports this one first.

torchmetrics, which comes with Lightning, would load the hidden packages for metrics of sounds, plots and
pretrained networks. Not for the package as a whole: the supervisor takes from it what needs no torch.
"""

from tracking.imports import hidden

with hidden("matplotlib", "scipy", "torchvision"):
    import pytorch_lightning  # noqa: F401
