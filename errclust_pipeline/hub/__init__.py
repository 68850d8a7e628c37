"""Fetching from the Hugging Face hub."""
