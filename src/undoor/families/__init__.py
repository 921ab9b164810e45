"""Trigger families: one a file, and the file says everything about it."""
