"""What an output means: one task a file, and the file says everything about it."""
