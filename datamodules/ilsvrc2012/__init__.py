"""The data of the challenge of 2012: its labels, its devkit, and how to unpack its archives."""
