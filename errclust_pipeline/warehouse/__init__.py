"""Where everything is kept: files under one root, tables by partition, and DuckDB to query them.

`Warehouse` (`warehouse.warehouse`) is what other rooms open. Its parts are `submissions` (what was
ingested), `tables` (Parquet, one file a partition) and `catalog` (SQL). `storage` writes files and
folders whole or not at all, `keys` turns names into partitions, `provenance` says what a file was
computed from. `duckdb` and `fsspec` are imported in this room only. What the tables mean does not
belong here: their columns are in `tables`, the arrays read from them in `views`.
"""
