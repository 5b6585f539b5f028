"""The checks before a job is queued: whether it may read its data, whether it fits, how long it will take."""
