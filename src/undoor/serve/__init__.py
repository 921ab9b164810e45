"""The guarded model behind HTTP; only what serves a repair of a PyTorch model imports torch."""
