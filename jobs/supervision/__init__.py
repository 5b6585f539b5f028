"""The supervisor: starts jobs, follows them, and sees to it that each one ends and is told."""
