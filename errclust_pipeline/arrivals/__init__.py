"""Where submissions arrive: what a folder holds, and what of it is new since the last look."""

from errclust_pipeline.arrivals.drop_folder import Arrivals, DropFolder, Request
from errclust_pipeline.arrivals.listing import FolderListing, ListedFile

__all__ = ["Arrivals", "DropFolder", "FolderListing", "ListedFile", "Request"]
