"""Callbacks of Lightning's trainer: records, checkpoints, stops, averages."""
