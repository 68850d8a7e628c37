"""Readers, one a format: each turns result files into the canonical responses schema."""
