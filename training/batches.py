"""Batches that take less memory and teach the same; imports nothing, since supervisors and pages ask too."""

# The tag that says what a run which ran out of memory should be tried again with.
RETRY_BATCH = "job.retry_batch"


def smaller_batch(batch_size: int) -> int | None:
    """Returns the largest batch of at most half the size that a whole number of makes the same images a step.

    None where there is none: one image cannot be halved.
    """
    for parts in range(2, batch_size + 1):
        if batch_size % parts == 0:
            return batch_size // parts
    return None
