"""Packs: all images of a source decoded and resized once, in files that are mapped into memory."""
