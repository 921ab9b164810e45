"""Models whose backdoor is known: made from a table, kept, opened."""
