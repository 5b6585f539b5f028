"""What can go wrong around a job."""


class LaunchError(Exception):
    """A job or a background process cannot be started; the message says why and what would work."""
