"""Many models examined by processes of their own, on one machine or on many."""
