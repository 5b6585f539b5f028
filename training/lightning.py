"""The import of Lightning, without packages that it does not need; the first import of each main module.

torchmetrics, which Lightning needs, would import the hidden packages for audio metrics, plots and pretrained
networks. This is not in ``__init__``, because the supervisor imports modules that do not need torch.
"""

from tracking.imports import hidden

with hidden("matplotlib", "scipy", "torchvision"):
    import pytorch_lightning  # noqa: F401
