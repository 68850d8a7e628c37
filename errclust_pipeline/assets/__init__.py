"""Software-defined assets, one file a stage: read tables, call the analysis, write tables."""
