"""How far true triggers move activations, layer by layer, and what one correction alone does."""
