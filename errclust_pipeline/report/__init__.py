"""Reports: one HTML page about a benchmark or battle set, plots, the explorer, asset summaries.

It reads tables and draws them; what is computed is in `analysis`.
"""

from errclust_pipeline.report.battles import read_battle_contents
from errclust_pipeline.report.benchmark import read_contents
from errclust_pipeline.report.contents import ReportContents, ReportError
from errclust_pipeline.report.render import MOST_BYTES, render_page, write_report

__all__ = [
    "MOST_BYTES",
    "ReportContents",
    "ReportError",
    "read_battle_contents",
    "read_contents",
    "render_page",
    "write_report",
]
