"""The identity of a model: hashes of everything that its predictions depend on."""
