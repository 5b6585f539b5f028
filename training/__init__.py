"""What happens inside a training process."""

import os

# OpenMP's threads spin for a while at every barrier. Where something else wants the cores too (the page one
# watches the run on), long spinning makes a step ten times slower; this is short.
OPENMP_SETTINGS = {"GOMP_SPINCOUNT": "10000"}

# Here, since OpenMP reads them when torch is loaded.
for name, value in OPENMP_SETTINGS.items():
    os.environ.setdefault(name, value)
