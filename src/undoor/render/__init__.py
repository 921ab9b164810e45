"""Reports and pictures of results; nothing here computes a verdict or writes a file."""
