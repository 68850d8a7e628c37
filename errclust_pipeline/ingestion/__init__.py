"""Ingestion: finding submissions and recording them, so that the pipeline can read their rows.

There are three doors: files given to a command (`files`), datasets of the hub (`from_hub`, with
`leaderboards`), and watched folders (`drop_folder`, whose files `folder_listing` and `hub_listing`
list). All of them do one act, which is in `record`. Recording is cheap: the rows are read by the
assets `raw_results` and `battles`. Which formats there are is the business of `sources`.
"""

from errclust_pipeline.ingestion.drop_folder import Arrivals, DropFolder
from errclust_pipeline.ingestion.folder_listing import FolderListing, ListedFile
from errclust_pipeline.ingestion.folder_memory import Request

__all__ = ["Arrivals", "DropFolder", "FolderListing", "ListedFile", "Request"]
