"""What a scan costs, beside mask inversion."""
