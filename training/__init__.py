"""The training process."""

import os

# OpenMP's threads spin at every barrier. If other programs need the cores too, such as the dashboard, long
# spinning makes a step ten times slower; this is short.
OPENMP_SETTINGS = {"GOMP_SPINCOUNT": "10000"}

# Number GPUs as nvidia-smi and the dashboard do; CUDA would start with the fastest.
CUDA_SETTINGS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

# Set here because OpenMP and CUDA read them when torch is imported.
for name, value in (OPENMP_SETTINGS | CUDA_SETTINGS).items():
    os.environ.setdefault(name, value)
