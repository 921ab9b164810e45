"""Trigger families: one per file, with everything about it."""
