"""Runs: the board they are sorted on, their rows, one run in full, and the queue."""
