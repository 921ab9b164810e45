"""Pictures and pages made of results; nothing here computes a verdict or writes a file."""
