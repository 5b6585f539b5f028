"""Launching: the form, what is asked before it is submitted, and what a click writes."""
