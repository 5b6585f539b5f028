"""What hangs on Lightning's trainer: records, checkpoints, stops, averages."""
