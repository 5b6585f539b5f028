"""The networks: one file a family, found by what it lists in ``ARCHITECTURES``."""
