"""Every table of the warehouse: its columns, their types, ranges, origins and meanings.

One module holds one family of tables. Importing this package imports them all, which fills the
registry `TABLES`; a table that a family module creates needs no other entry. A new family needs its
line below. No analysis is imported here.
"""

# ruff: noqa: F403 - a family's tables are known by its module alone.

from errclust_pipeline.tables.battles import *
from errclust_pipeline.tables.clusters import *
from errclust_pipeline.tables.comparison import *
from errclust_pipeline.tables.diagnoses import *
from errclust_pipeline.tables.errors import *
from errclust_pipeline.tables.questions import *
from errclust_pipeline.tables.responses import *
from errclust_pipeline.tables.statistics import *
from errclust_pipeline.tables.table import TABLES as TABLES
from errclust_pipeline.tables.table import KeptBy as KeptBy
from errclust_pipeline.tables.table import Table as Table
from errclust_pipeline.tables.training import *
from errclust_pipeline.tables.uncertainty import *

BATTLE_TABLES = tuple(table for table in TABLES.values() if table.kept_by is KeptBy.BATTLE_SET)
"""The tables of battle sets."""
