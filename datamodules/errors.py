"""What can be wrong with images."""


class DataError(Exception):
    """The images are not there or not as they must be; one sentence says what would be right."""
