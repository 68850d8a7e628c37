"""The science, pure: arrays and frames in, arrays and frames out; no Dagster, I/O or network."""
