"""Hostile and broken model files, made where they are needed: none is kept, none is ever loaded."""
