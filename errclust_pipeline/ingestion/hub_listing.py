"""The files of a watched dataset on the hub: listed once a commit, fetched at that commit."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path, PurePosixPath

from errclust_pipeline.hub.address import HubAddress, is_hub_address
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.download import HubFile
from errclust_pipeline.hub.errors import HubError
from errclust_pipeline.ingestion.folder_listing import (
    FolderListing,
    ListedFile,
    Listing,
    ListingError,
    finished,
)
from errclust_pipeline.warehouse.storage import Storage

_LISTINGS_REMEMBERED = 64


def listing_of(url: str, storage: Storage) -> Listing:
    """Return the listing of a folder, a bucket or a dataset of the hub (``hf:owner/name``)."""
    other_kind = url.startswith("hf://") and not url.startswith("hf://datasets/")
    if is_hub_address(url) and not other_kind:
        return HubListing(url)
    return FolderListing(url, storage)


class HubListing:
    """A dataset of the hub, or a folder in it.

    `files` asks the hub for the newest commit, and lists files only if the commit is a new one.

    Parameters
    ----------
    url : str
        ``hf:owner/name`` or ``hf://datasets/owner/name``, with a branch (``@branch``) and a folder
        if need be.

    Raises
    ------
    HubError
        If the URL is no such address.
    """

    def __init__(self, url: str) -> None:
        self._address = HubAddress.parse(url)
        self._commit = ""
        self.url = str(self._address)
        self.key = hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()

    def exists(self) -> bool:
        """Return True; if there is no such dataset, `files` raises an error that says so."""
        return True

    def gave(self, file: str) -> bool:
        """Return whether a recorded file came from this dataset."""
        return file.startswith(f"hf://datasets/{self._address.repository}@")

    def files(self) -> list[ListedFile]:
        """List all files at the newest commit, sorted; a file's version is its content's hash.

        Raises
        ------
        ListingError
            If there is no such dataset, no access to it, or no answer.
        """
        if not self._address.name:
            raise ListingError(f"{self.url} is an organisation: name a dataset, {self.url}/name")
        repository, path = self._address.repository, self._address.path
        try:
            self._commit = Hub().commit(repository, self._address.revision)
            files = _files_at(repository, self._commit, path)
        except HubError as error:
            raise ListingError(f"{self.url} cannot be listed: {error}") from error
        start = f"{path}/" if path else ""
        return finished(ListedFile(file.path.removeprefix(start), file.blob) for file in files)

    def local(self, file: ListedFile) -> Path:
        """Fetch a file, and the results files beside it, at the commit that was listed.

        Raises
        ------
        HubError
            If the file cannot be fetched.
        """
        if not self._commit:
            self.files()
        repository, path = self._address.repository, self._address.path
        wanted = PurePosixPath(path, file.path)
        files = [
            listed
            for listed in _files_at(repository, self._commit, path)
            if listed.path == str(wanted) or _is_results_beside(PurePosixPath(listed.path), wanted)
        ]
        Hub().fetch(repository, self._commit, files)
        return Hub().local(
            dataclasses.replace(self._address, revision=self._commit, path=str(wanted))
        )


def _is_results_beside(path: PurePosixPath, samples: PurePosixPath) -> bool:
    return (
        path.parent == samples.parent
        and path.name.startswith("results_")
        and samples.name.startswith("samples_")
    )


@functools.lru_cache(_LISTINGS_REMEMBERED)
def _files_at(repository: str, commit: str, path: str) -> tuple[HubFile, ...]:
    return tuple(Hub().files(repository, commit, path))
