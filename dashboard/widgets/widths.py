"""Widths of the launch form's fields, in pixels: of a number, and of words, which take the room of two."""

NUMBER, WORDS = 200, 430
