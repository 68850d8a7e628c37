"""errclust: find the patterns in what large language models get wrong."""

__version__ = "0.1.0"
