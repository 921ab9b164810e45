"""What the tests of the benchmark share."""
