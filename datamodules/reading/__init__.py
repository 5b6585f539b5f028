"""Who reads batches: what is in them, in which order, and by which processes or threads."""
