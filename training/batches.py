"""Batches that need less memory and train the same. Imports nothing: supervisors and pages use it, too."""

# The tag with the batch size to try again with, of a run that ran out of memory.
RETRY_BATCH = "job.retry_batch"


def smaller_batch(batch_size: int) -> int | None:
    """Return a batch size of at most half, several of which make as many images per step; see `split`.

    Returns:
        The batch size, None for a batch of one image.
    """
    return split(batch_size, batch_size // 2)[0] if batch_size > 1 else None


def split(images: int, largest: int) -> tuple[int, int]:
    """Split a number of images into equal batches of at most ``largest`` images.

    Returns:
        The batch size and the number of batches: the smallest number that divides the images exactly. If that
        is more than twice the smallest possible number (701 is prime), it is the smallest possible number,
        and fewer than one image per batch is left out.
    """
    fewest = -(-images // largest)
    exact = next(count for count in range(fewest, images + 1) if images % count == 0)
    count = exact if exact <= 2 * fewest else fewest
    return images // count, count


def step_text(batch_size: int, count: int, images: int) -> str:
    """Return how the images per step of several batches compare to the previous number, as text."""
    now = batch_size * count
    return f"still {now} images" if now == images else f"{now} images instead of {images}"
