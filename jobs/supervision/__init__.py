"""The supervisor: starts jobs, monitors them, makes sure that each one ends, and sends notifications."""
