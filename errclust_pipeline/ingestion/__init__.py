"""Where submissions arrive: what a folder holds, and what of it is new since the last look."""

from errclust_pipeline.ingestion.drop_folder import Arrivals, DropFolder, Request
from errclust_pipeline.ingestion.folder_listing import FolderListing, ListedFile

__all__ = ["Arrivals", "DropFolder", "FolderListing", "ListedFile", "Request"]
