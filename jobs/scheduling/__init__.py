"""The order in which waiting jobs start, which of them may be started early, and when they will run."""
