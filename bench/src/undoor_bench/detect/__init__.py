"""What scans find on models whose backdoor is known."""
