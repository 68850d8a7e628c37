"""Tables as pictures: the report, one HTML page of a benchmark or battle set, and plots."""

from errclust_pipeline.report.battles import read_battle_contents
from errclust_pipeline.report.contents import ReportContents, ReportError, read_contents
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
