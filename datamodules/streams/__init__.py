"""LitData's format: read from a folder or an address, and written from any source."""
