"""Batches that take less memory and teach the same; imports nothing, since supervisors and pages ask too."""

# The tag that says what a run which ran out of memory should be tried again with.
RETRY_BATCH = "job.retry_batch"


def smaller_batch(batch_size: int) -> int | None:
    """Returns a batch of at most half the size, of which several make as many images a step; see `split`.

    None where there is none: one image cannot be halved.
    """
    return split(batch_size, batch_size // 2)[0] if batch_size > 1 else None


def split(images: int, largest: int) -> tuple[int, int]:
    """Returns equal batches of at most ``largest`` images, and how many of them make so many images.

    As few as are exact. Where that would take more than twice as many as needed (701 is a prime number), the
    fewest that there can be: together they lack less than one image each.
    """
    fewest = -(-images // largest)
    exact = next(count for count in range(fewest, images + 1) if images % count == 0)
    count = exact if exact <= 2 * fewest else fewest
    return images // count, count


def step_text(batch_size: int, count: int, images: int) -> str:
    """Returns what so many batches a step come to, beside the images a step that there were."""
    now = batch_size * count
    return f"still {now} images" if now == images else f"{now} images instead of {images}"
