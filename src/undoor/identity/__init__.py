"""What a model is: everything that its predictions depend on, as hashes that files can name."""
