"""Training models whose backdoor is known."""
