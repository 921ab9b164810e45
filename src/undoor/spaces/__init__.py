"""Spaces: kinds of inputs, one per file."""
