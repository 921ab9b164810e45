"""Tasks: meanings of outputs, one per file."""
