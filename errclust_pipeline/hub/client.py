"""The Hugging Face hub: which files a dataset repository holds, and fetching some of them.

Files are fetched at a commit, never at a branch, and kept where hub clients keep what is theirs to
clear (``HF_HOME``)::

    <HF_HOME>/assets/errclust/datasets/<owner>/<commit>/<name>/<path>

So a kept file's path says where it came from, readers that go by the names of folders meet the
repository's, and a submission that was read from the hub is
recorded by addresses (``hf://datasets/<owner>/<name>@<commit>/<path>``): whoever reads it, on
whatever machine, fetches again what is not there. The token, the hub's address and offline mode are
those of ``huggingface_hub`` (``HF_TOKEN`` or ``hf auth login``, ``HF_ENDPOINT``,
``HF_HUB_OFFLINE``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

from errclust_pipeline.progress import ProgressCounter

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    from errclust_pipeline.sources.base import Submission

_Answer = TypeVar("_Answer")

FILES_AT_ONCE = 4
LONGEST_WAIT_SECONDS = 60
"""A hub that asks to be left alone for longer is: the error says for how long."""
_WAITS_SECONDS = (1, 3, 9)
_BUSY = (429, 500, 502, 503, 504)
_CHUNK_BYTES = 1 << 20

_COMMIT = re.compile("[0-9a-f]{40}")
_NAME = r"[A-Za-z0-9][\w.\-]*"
_ADDRESS = re.compile(
    rf"hf:(?://)?(?:(?P<kind>datasets|models|spaces|buckets|kernels)/)?(?P<owner>{_NAME})"
    rf"(?:/(?P<name>{_NAME})(?:@(?P<revision>[^/@]+))?(?:/(?P<path>.+?))?)?/?",
    re.ASCII | re.DOTALL,
)


class HubError(OSError):
    """What the hub does not give; the message says which page to accept or which token to set."""


class HubMissingError(HubError):
    """A dataset that does not exist, as far as the token may know."""


class HubBusyError(HubError, ConnectionError):
    """A hub that cannot be reached or has no time now: the same may work later."""


@dataclass(frozen=True)
class HubAddress:
    """A dataset repository, at a revision, or a folder or file in it.

    `name` is empty if the address is an organisation's (``hf:open-llm-leaderboard``).
    """

    owner: str
    name: str = ""
    revision: str | None = None
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> HubAddress:
        """Read ``hf:owner/name``, with ``@revision`` and ``/path``, or ``hf://datasets/…``.

        Raises
        ------
        HubError
            If it is none of these.
        """
        match = _ADDRESS.fullmatch(text)
        if (
            match is None
            or match["kind"] not in (None, "datasets")
            or _leads_out(match["path"] or "")
        ):
            raise HubError(
                f"{text!r} is not the address of a dataset on the hub: write hf:owner/dataset, and "
                "if need be hf:owner/dataset@revision/folder"
            )
        revision = match["revision"]
        return cls(
            match["owner"],
            match["name"] or "",
            None if revision is None else unquote(revision),
            (match["path"] or "").strip("/"),
        )

    @property
    def repository(self) -> str:
        """The repository's name with its owner's."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        """Return the form that a submission's record holds, which fsspec understands too."""
        if not self.name:
            return f"hf:{self.owner}"
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        path = f"/{self.path}" if self.path else ""
        return f"hf://datasets/{self.repository}{revision}{path}"


def is_hub_address(text: str) -> bool:
    """Whether a text is meant as an address on the hub."""
    return text.startswith("hf:")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its path there, its size in bytes, and its content's hash.

    `blob` is git's hash, or that of the pointer to a large file, whose own hash is `sha256`. They
    are empty where nobody asked the hub for them.
    """

    path: str
    size: int = 0
    blob: str = ""
    sha256: str = ""


@dataclass
class Fetched:
    """How much was fetched over the network."""

    files: int = 0
    size: int = 0


class Hub:
    """Dataset repositories on the hub.

    Attributes
    ----------
    fetched : Fetched
        What this object has fetched so far, not what was kept already.
    """

    def __init__(self) -> None:
        from huggingface_hub import HfApi

        self._api: HfApi = HfApi(library_name="errclust")
        self._folder = kept_folder()
        self.fetched = Fetched()

    def commit(self, repository: str, revision: str | None = None) -> str:
        """Return the commit that a revision (a branch, tag or commit) stands for.

        Raises
        ------
        HubError
            If there is no such repository or revision, or no access to it.
        HubBusyError
            If the hub cannot be reached, or has too much to do.
        """
        with _explained(repository, revision):
            # Without `expand` the hub lists all files too.
            ask = partial(self._api.dataset_info, repository, revision=revision, expand=["sha"])
            found = _patiently(ask).sha
            if not isinstance(found, str) or not _COMMIT.fullmatch(found):
                raise ValueError(f"its newest commit is {found!r}")
        return found

    def files(self, repository: str, commit: str, path: str = "") -> list[HubFile]:
        """List the files below a folder of a repository, or one file, sorted by path.

        Raises
        ------
        HubError, HubBusyError
            As in `commit`; also if there is no such folder or file.
        """
        from huggingface_hub.hf_api import RepoFile

        with _explained(repository, commit, path):
            listed = self._listed(repository, commit, path)
            files = [_as_file(one) for one in listed if isinstance(one, RepoFile)]
        for file in files:
            if _leads_out(file.path):
                raise HubError(
                    f"{_page(repository)} lists a file {file.path[:200]!r}, which would be written "
                    "outside the folder that files are kept in: do not trust this dataset"
                )
        return sorted(files, key=lambda file: file.path)

    def _listed(self, repository: str, commit: str, path: str) -> Iterable[Any]:
        from huggingface_hub.errors import EntryNotFoundError

        try:
            yield from self._api.list_repo_tree(
                repository, path or None, recursive=True, revision=commit, repo_type="dataset"
            )
        except EntryNotFoundError:
            # A file is no tree.
            found = self._api.get_paths_info(repository, path, revision=commit, repo_type="dataset")
            if not path or not found:
                raise
            yield from found

    def similar(self, owner: str, words: str) -> list[str]:
        """Return some of an owner's repositories whose name holds words, for a message.

        Nothing if the hub does not tell.
        """
        try:
            with _explained(owner):
                found = list(self._api.list_datasets(author=owner, search=words, limit=5))
        except HubError:
            return []
        return [one.id for one in found]

    def local(self, address: HubAddress) -> Path:
        """Return where a file or folder lies once it is fetched; the revision must be a commit."""
        return self._folder / address.owner / str(address.revision) / address.name / address.path

    def fetch(self, repository: str, commit: str, files: Sequence[HubFile]) -> list[Path]:
        """Fetch files, those that are not kept already; return where they lie.

        A file appears under its name when it is all there; what was fetched before an error is
        kept. Content is compared with the hash that the hub gave.

        Raises
        ------
        HubError, HubBusyError
            As in `commit`; also if what came is not what the hub lists.
        """
        counter = _Bytes(sum(file.size for file in files), self.fetched)
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            futures = [
                pool.submit(self._fetch_one, repository, commit, file, counter) for file in files
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                # Interrupted: nobody waits for files of gigabytes.
                counter.stopped = True
                raise
            finally:
                for future in futures:
                    future.cancel()
            failed = [one for one in futures if not one.cancelled() and one.exception()]
            for one in failed:
                one.result()
            return [one.result() for one in futures]

    def _fetch_one(self, repository: str, commit: str, file: HubFile, counter: _Bytes) -> Path:
        owner, _, name = repository.partition("/")
        folder = self.local(HubAddress(owner, name, commit))
        target = folder / file.path
        if target.is_file():
            if _is_intact(target, file):
                counter.keep(file.size)
                return target
            target.unlink()
        with _explained(repository, commit, file.path):
            self._api.hf_hub_download(
                repository,
                file.path,
                repo_type="dataset",
                revision=commit,
                local_dir=folder,
                tqdm_class=counter.bar,
            )
        counter.count_file()
        if not _is_intact(target, file):
            target.unlink(missing_ok=True)
            raise HubBusyError(
                f"{file.path} of {_page(repository)} came with another content than the hub lists: "
                "try again; if it stays so, something between this machine and the hub changes it"
            )
        return target


def kept_folder() -> Path:
    """Return the folder below which fetched files are kept."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE, "errclust", "datasets").resolve()


def as_recorded(
    submission: Submission, before: Submission | None = None, same_files: bool = False
) -> Submission:
    """Return a submission read from kept files as it is recorded: by addresses, at its commit.

    Its revision is the commit that brought its content; what the reader took for the revision, a
    hash of that content, is kept as the option `content`. Any other submission is returned as it
    is.

    Parameters
    ----------
    before : Submission, optional
        What is recorded of it already. If only the commit is another, so that its content is the
        same, its revision stays.
    same_files : bool
        Whether the files have the content too that they had then; a file that holds several
        submissions may have changed for another. The addresses stay as well then.
    """
    folder = kept_folder()
    addresses = []
    for file in submission.files:
        if not Path(file).is_relative_to(folder):
            return submission
        owner, commit, name, *path = Path(file).relative_to(folder).parts
        addresses.append(HubAddress(owner, name, commit, "/".join(path)))
    recorded = dataclasses.replace(
        submission,
        files=tuple(map(str, addresses)),
        revision=str(addresses[0].revision),
        options={**submission.options, "content": submission.revision},
    )
    if before is not None and _without_commits(before) == _without_commits(recorded):
        return before if same_files else dataclasses.replace(recorded, revision=before.revision)
    return recorded


def _without_commits(submission: Submission) -> Submission:
    files = [
        str(dataclasses.replace(HubAddress.parse(file), revision=None))
        if is_hub_address(file)
        else file
        for file in submission.files
    ]
    return dataclasses.replace(submission, files=tuple(files), revision="")


def on_this_machine(submission: Submission) -> Submission:
    """Return a recorded submission with files that can be read here, fetched if need be.

    Raises
    ------
    HubError, HubBusyError
        As in `Hub.fetch`.
    """
    if not any(map(is_hub_address, submission.files)):
        return submission
    wanted: dict[tuple[str, str], list[HubAddress]] = {}
    for file in submission.files:
        address = HubAddress.parse(file)
        wanted.setdefault((address.repository, str(address.revision)), []).append(address)
    hub = Hub()
    local: dict[str, str] = {}
    for (repository, commit), addresses in wanted.items():
        paths = hub.fetch(repository, commit, [HubFile(one.path) for one in addresses])
        local |= {str(one): str(path) for one, path in zip(addresses, paths, strict=True)}
    return dataclasses.replace(submission, files=tuple(local[file] for file in submission.files))


def _as_file(listed: RepoFile) -> HubFile:
    sha256 = "" if listed.lfs is None else listed.lfs["sha256"]
    texts = (listed.path, listed.blob_id, sha256)
    if not all(isinstance(text, str) for text in texts) or not isinstance(listed.size, int):
        raise TypeError(f"the entry of a file is {listed!r:.200}")
    return HubFile(listed.path, listed.size, listed.blob_id, sha256)


def _leads_out(path: str) -> bool:
    """Whether a path in a repository would lead out of the folder that it is kept in."""
    return path.startswith("/") or ".." in path.split("/") or "\0" in path


class _StoppedError(Exception):
    """Ends a download that nobody waits for any more."""


class _Bytes:
    """Counts what is fetched, in any number of threads."""

    def __init__(self, total: int, fetched: Fetched) -> None:
        from huggingface_hub.utils.tqdm import tqdm

        self.stopped = False
        self._counter = ProgressCounter("fetching", total // 1000 or None, "kB")
        self._fetched = fetched
        self._done = 0
        self._lock = threading.Lock()
        count = self.count_bytes

        class Bar(tqdm):
            """Passes on what the client reports, and shows nothing."""

            def __init__(self, *_: Any, **options: Any) -> None:
                super().__init__(**{**options, "disable": True})  # type: ignore[no-untyped-call]

            def update(self, n: float | None = 1) -> None:
                count(int(n or 0))

        self.bar = Bar

    def keep(self, size: int) -> None:
        """Count a file that was kept from before."""
        with self._lock:
            self._advance(size)

    def count_bytes(self, size: int) -> None:
        """Count bytes that came; a client that begins again takes some back."""
        if self.stopped:
            raise _StoppedError
        with self._lock:
            self._fetched.size += size
            self._advance(size)

    def count_file(self) -> None:
        """Count a file that came whole."""
        with self._lock:
            self._fetched.files += 1

    def _advance(self, size: int) -> None:
        self._done += size
        self._counter.advance(self._done // 1000 - self._counter.done)


def _is_intact(path: Path, file: HubFile) -> bool:
    """Whether a file's content is what the hub lists; true where it lists nothing."""
    if not file.blob and not file.sha256:
        return True
    size = path.stat().st_size
    if size != file.size:
        return False
    if file.sha256:
        digest, expected = hashlib.sha256(), file.sha256
    else:
        # Git's own name for a content.
        digest, expected = hashlib.sha1(usedforsecurity=False), file.blob
        digest.update(b"blob %d\0" % size)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == expected


def _patiently(ask: Callable[[], _Answer]) -> _Answer:
    """Ask again, after a wait, a hub that is busy; as long as it says, if that is not too long.

    For what the client asks but once; listings and files it asks for again by itself.
    """
    from huggingface_hub.errors import HfHubHTTPError

    for pause in (*_WAITS_SECONDS, None):
        try:
            return ask()
        except HfHubHTTPError as error:
            seconds = _retry_after(error)
            if (
                error.response.status_code not in _BUSY
                or pause is None
                or (seconds or 0) > LONGEST_WAIT_SECONDS
            ):
                raise
            time.sleep(pause if seconds is None else seconds)
    raise AssertionError("the last try returns or raises")


def _retry_after(error: HfHubHTTPError) -> int | None:
    """Return the seconds for which a hub wants to be left alone; None if it does not say."""
    value = error.response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return int(value)
    # E.g. "resolvers";r=0;t=55: so many requests are left, so many seconds are.
    limit = re.search(r"\br=0\s*;\s*t=(\d+)", error.response.headers.get("ratelimit", ""))
    return int(limit[1]) if limit else None


@contextmanager
def _explained(repository: str, revision: str | None = None, path: str = "") -> Iterator[None]:
    """Turn what the hub's client raises into errors that say what to do."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except HubError:
        raise
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError) as error:
        cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error
        if isinstance(cause, errors.HfHubHTTPError):
            raise _refusal(cause, repository, revision, path) from error
        raise _unreachable(cause or error, repository) from error
    except (errors.OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise _unreachable(error, repository) from error
    except errors.HFValidationError as error:
        raise HubError(f"{repository!r} cannot be a dataset's name: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HubBusyError(
            f"{_page(repository)} did not answer as a hub does ({type(error).__name__}: {error}): "
            "is HF_ENDPOINT right, and nothing between this machine and the hub?"
        ) from error
    except OSError as error:
        if error.errno is not None:  # This machine's: a full disk, a folder that is not writable.
            raise
        raise HubBusyError(
            f"{path or repository} could not be fetched whole from {_page(repository)}: try again "
            f"({_first_line(error)})"
        ) from error


def _refusal(error: HfHubHTTPError, repository: str, revision: str | None, path: str) -> HubError:
    from huggingface_hub import constants, errors

    page, tokens = _page(repository), f"{constants.ENDPOINT}/settings/tokens"
    status = error.response.status_code
    said = error.response.headers.get("X-Error-Message", "")
    has_token = _token() is not None
    if isinstance(error, errors.GatedRepoError):
        if has_token:
            return HubError(
                f"{repository} is gated, and the account of your token has no access: accept its "
                f"terms on {page}, with that account; if you did, it may be waiting to be let in, "
                "or the token may not be allowed to read gated repositories"
            )
        return HubError(
            f"{repository} is gated: accept its terms on {page}, then set HF_TOKEN to a token of "
            f"that account ({tokens})"
        )
    if status == 401 and said.startswith("Invalid credentials"):
        return HubError(
            f"the hub does not accept your token (HF_TOKEN, or that of `hf auth login`): set a "
            f"valid one ({tokens})"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"{page} has no revision {revision!r}: see its commits and branches there")
    if isinstance(error, errors.EntryNotFoundError):
        return HubError(f"{page} has no {path or 'such file'} at revision {revision}")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        hint = (
            "is it private, and your token of another account?"
            if has_token
            else f"if it is private, set HF_TOKEN ({tokens})"
        )
        return HubMissingError(f"there is no dataset {page}: is the name right? {hint}")
    if isinstance(error, errors.DisabledRepoError):
        return HubError(f"{page} was disabled: it cannot be had any more")
    if status == 429:
        seconds = _retry_after(error)
        when = f"in {seconds:,} seconds" if seconds is not None else "in a few minutes"
        hint = "" if has_token else f"; with a token in HF_TOKEN it allows more ({tokens})"
        return HubBusyError(
            f"the hub has had too many requests from here: try again {when}{hint}. What was "
            "fetched is kept"
        )
    if status >= 500:
        return HubBusyError(
            f"the hub is out of order (status {status} for {page}): try again later. What was "
            "fetched is kept"
        )
    return HubError(f"the hub refuses {path or repository} of {page}: {said or _first_line(error)}")


def _unreachable(error: BaseException, repository: str) -> HubError:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubError(
            f"{repository} is not on this machine, and HF_HUB_OFFLINE forbids asking the hub for "
            "it: unset it"
        )
    return HubBusyError(
        f"{constants.ENDPOINT} cannot be reached for {repository} ({_first_line(error)}): try "
        "again later. What was fetched is kept"
    )


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _page(repository: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{repository}"


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
