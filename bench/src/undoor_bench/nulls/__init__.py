"""The nulls of trigger families, fitted on scans of models whose backdoors are known."""
