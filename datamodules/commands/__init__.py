"""The commands of ``python -m datamodules``: one file per command, found by its name.

Each file has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``. ``run`` raises DataError
or InvalidValue for errors that the user can fix; only the message is printed then. No large package, such as
torch, is imported before ``run``.
"""
