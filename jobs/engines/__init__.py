"""Where jobs run: one file an engine."""
