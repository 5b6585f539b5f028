"""What ``python -m datamodules`` can do: one file a command, found by its name.

Each file has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``. The latter raises
DataError or ValueError for what a user can put right; the message is then all that is printed. Nothing heavy,
such as torch, is imported before ``run``.
"""
