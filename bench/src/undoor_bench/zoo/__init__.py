"""Models whose backdoor is known: trained from a table, stored, opened."""
