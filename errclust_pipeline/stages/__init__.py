"""The stages, and whether a partition of one is up to date."""
