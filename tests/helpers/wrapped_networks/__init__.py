"""Backdoored networks in wrappers that show a scan a clean one."""
