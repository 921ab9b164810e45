"""What a guarded service costs beside the same service with the bare model."""
