"""The Architectures page: its sections, and what they count, draw and check."""
