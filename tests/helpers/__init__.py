"""What tests of both distributions share; on the path of pytest."""
