"""What happens inside a training process."""

import os

# OpenMP's threads spin for a while at every barrier. Where something else wants the cores too (the page one
# watches the run on), long spinning makes a step ten times slower; this is short.
OPENMP_SETTINGS = {"GOMP_SPINCOUNT": "10000"}

# GPUs have the numbers that nvidia-smi, and so every page, shows; CUDA would count from the fastest on.
CUDA_SETTINGS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

# Here, since OpenMP and CUDA read them when torch is loaded.
for name, value in (OPENMP_SETTINGS | CUDA_SETTINGS).items():
    os.environ.setdefault(name, value)
