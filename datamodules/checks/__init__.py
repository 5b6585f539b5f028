"""Checking a data set by reading every image once."""
