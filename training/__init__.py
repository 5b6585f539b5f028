"""What happens inside a training process."""

import os

# Before torch is loaded: OpenMP's threads spin for a while at every barrier. Where something else wants the
# cores too (the page one watches the run on), long spinning makes a step ten times slower; this is short.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
