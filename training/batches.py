"""Batches that take less memory and teach the same; imports nothing, since supervisors and pages ask too."""

# The tag that says what a run which ran out of memory should be tried again with.
RETRY_BATCH = "job.retry_batch"


def smaller_batch(batch_size: int) -> int | None:
    """Returns the largest batch of at most half the size that a whole number of makes the same images a step.

    None where there is none: one image cannot be halved.
    """
    return batch_size // count_parts(batch_size, batch_size // 2) if batch_size > 1 else None


def count_parts(images: int, largest: int) -> int:
    """Returns the fewest equal batches of at most ``largest`` images that make so many images."""
    return next(count for count in range(-(-images // largest), images + 1) if images % count == 0)
