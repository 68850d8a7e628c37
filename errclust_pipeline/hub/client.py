"""The client of the hub: which files a dataset repository holds, and fetching some of them.

Files are fetched at a commit, never at a branch. The token, the hub's address and offline mode are
those of ``huggingface_hub`` (``HF_TOKEN`` or ``hf auth login``, ``HF_ENDPOINT``,
``HF_HUB_OFFLINE``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from errclust_pipeline.hub.address import HubAddress, leads_outside
from errclust_pipeline.hub.download import (
    DownloadCounter,
    Fetched,
    HubFile,
    download_folder,
    is_intact,
)
from errclust_pipeline.hub.errors import (
    HubBusyError,
    HubError,
    explain_errors,
    page_of,
    retry_after,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_Answer = TypeVar("_Answer")

_FILES_AT_ONCE = 4
MAX_WAIT_SECONDS = 60
"""Maximum wait that a busy hub may ask for; if it asks for a longer one, the error says so."""
_WAITS_SECONDS = (1, 3, 9)
_BUSY = (429, 500, 502, 503, 504)
_COMMIT = re.compile("[0-9a-f]{40}")


class Hub:
    """Dataset repositories on the hub.

    Attributes
    ----------
    fetched : Fetched
        What this object has fetched over the network so far.
    """

    def __init__(self) -> None:
        from huggingface_hub import HfApi

        self._api: HfApi = HfApi(library_name="errclust")
        self._folder = download_folder()
        self.fetched = Fetched()

    def commit(self, repository: str, revision: str | None = None) -> str:
        """Return the commit that a revision (a branch, tag or commit) stands for.

        Raises
        ------
        HubError
            If there is no such repository or revision, or no access to it.
        HubBusyError
            If the hub cannot be reached or is too busy.
        """
        with explain_errors(repository, revision):
            # Without `expand` the hub lists all files too.
            ask = partial(self._api.dataset_info, repository, revision=revision, expand=["sha"])
            commit = _ask_patiently(ask).sha
            if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
                raise ValueError(f"its newest commit is {commit!r}")
        return commit

    def files(self, repository: str, commit: str, path: str = "") -> list[HubFile]:
        """List the files below a folder of a repository, or one file, sorted by path.

        Raises
        ------
        HubError, HubBusyError
            As in `commit`; also if there is no such folder or file, or a path leads outside.
        """
        from huggingface_hub.hf_api import RepoFile

        with explain_errors(repository, commit, path):
            entries = self._entries(repository, commit, path)
            files = [_hub_file(entry) for entry in entries if isinstance(entry, RepoFile)]
        for file in files:
            if leads_outside(file.path):
                raise HubError(
                    f"{page_of(repository)} lists a file {file.path[:200]!r}, which would be "
                    "written outside the folder that files are stored in: do not trust this dataset"
                )
        return sorted(files, key=lambda file: file.path)

    def _entries(self, repository: str, commit: str, path: str) -> Iterable[Any]:
        from huggingface_hub.errors import EntryNotFoundError

        try:
            yield from self._api.list_repo_tree(
                repository, path or None, recursive=True, revision=commit, repo_type="dataset"
            )
        except EntryNotFoundError:
            # The path may be that of a file.
            entries = self._api.get_paths_info(
                repository, path, revision=commit, repo_type="dataset"
            )
            if not path or not entries:
                raise
            yield from entries

    def similar(self, owner: str, words: str) -> list[str]:
        """Return some of an owner's repositories whose name holds words, for a message.

        The list is empty if the hub does not answer.
        """
        try:
            with explain_errors(owner):
                repositories = list(self._api.list_datasets(author=owner, search=words, limit=5))
        except HubError:
            return []
        return [repository.id for repository in repositories]

    def local(self, address: HubAddress) -> Path:
        """Return where a file or folder lies once it is fetched; the revision must be a commit."""
        return self._folder / address.owner / str(address.revision) / address.name / address.path

    def fetch(self, repository: str, commit: str, files: Sequence[HubFile]) -> list[Path]:
        """Fetch the files that were not fetched before; return where all of them lie.

        A file appears under its name once it is complete, and its content has the hash that the
        hub lists. What was fetched before an error is kept.

        Raises
        ------
        HubError, HubBusyError
            As in `commit`; also if the content is not what the hub lists.
        """
        counter = DownloadCounter(sum(file.size for file in files), self.fetched)
        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            futures = [
                pool.submit(self._fetch_file, repository, commit, file, counter) for file in files
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                # The user interrupts: do not make them wait for gigabytes.
                counter.stopped = True
                raise
            finally:
                for future in futures:
                    future.cancel()
            failed = [future for future in futures if not future.cancelled() and future.exception()]
            for future in failed:
                future.result()
            return [future.result() for future in futures]

    def _fetch_file(
        self, repository: str, commit: str, file: HubFile, counter: DownloadCounter
    ) -> Path:
        owner, _, name = repository.partition("/")
        folder = self.local(HubAddress(owner, name, commit))
        target = folder / file.path
        if target.is_file():
            if is_intact(target, file):
                counter.count_stored(file.size)
                return target
            target.unlink()
        with explain_errors(repository, commit, file.path):
            self._api.hf_hub_download(
                repository,
                file.path,
                repo_type="dataset",
                revision=commit,
                local_dir=folder,
                tqdm_class=counter.bar,
            )
        counter.count_file()
        if not is_intact(target, file):
            target.unlink(missing_ok=True)
            raise HubBusyError(
                f"{file.path} of {page_of(repository)} came with another content than the hub "
                "lists: try again; if it stays so, something between this machine and the hub "
                "changes it"
            )
        return target


def _hub_file(entry: RepoFile) -> HubFile:
    sha256 = "" if entry.lfs is None else entry.lfs["sha256"]
    texts = (entry.path, entry.blob_id, sha256)
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry.size, int):
        raise TypeError(f"the entry of a file is {entry!r:.200}")
    return HubFile(entry.path, entry.size, entry.blob_id, sha256)


def _ask_patiently(ask: Callable[[], _Answer]) -> _Answer:
    """Repeat a request while the hub is busy, after the wait that it asks for if that is short.

    For requests that the client does not repeat by itself.
    """
    from huggingface_hub.errors import HfHubHTTPError

    for pause in (*_WAITS_SECONDS, None):
        try:
            return ask()
        except HfHubHTTPError as error:
            seconds = retry_after(error)
            if (
                error.response.status_code not in _BUSY
                or pause is None
                or (seconds or 0) > MAX_WAIT_SECONDS
            ):
                raise
            time.sleep(pause if seconds is None else seconds)
    raise AssertionError("the last attempt returns or raises")
