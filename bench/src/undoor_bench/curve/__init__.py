"""What is found, by how many clean images there are."""
