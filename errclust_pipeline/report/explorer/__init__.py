"""A benchmark's map as one table, and Apple's embedding-atlas to explore it in a browser.

The atlas is a separate program with its own front end. It is started on the table, listens on this
machine only, and asks for nothing over the network. It is an optional extra because of its large
dependencies.
"""

from errclust_pipeline.report.explorer.atlas import USUAL_PORT, atlas, atlas_command, free_port
from errclust_pipeline.report.explorer.table import (
    NEIGHBOURS,
    explorer_table,
    region_labels_on_the_map,
    write_explorer_table,
)

__all__ = [
    "NEIGHBOURS",
    "USUAL_PORT",
    "atlas",
    "atlas_command",
    "explorer_table",
    "free_port",
    "region_labels_on_the_map",
    "write_explorer_table",
]
