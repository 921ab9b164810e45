"""Can it be closed? Corrections that bring triggered activations back onto the clean ones."""
