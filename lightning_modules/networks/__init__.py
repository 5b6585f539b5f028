"""The networks, one file per family; the registry reads ``ARCHITECTURES`` of each file."""
