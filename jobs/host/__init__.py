"""The machine that jobs run on: its devices, memory and processes, and background processes."""
