"""What the outputs of a served model mean, without torch: one kind of prediction per file."""
