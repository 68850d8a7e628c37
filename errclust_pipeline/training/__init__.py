"""Choosing training examples and writing them."""
