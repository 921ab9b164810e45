"""What an input is: one space a file, and the file says everything about it."""
