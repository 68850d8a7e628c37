"""Names for clusters: key phrases, exemplars, and what a label writer is."""
