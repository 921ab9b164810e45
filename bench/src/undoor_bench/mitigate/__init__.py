"""What repairs and their rivals do on models whose backdoor is known."""
