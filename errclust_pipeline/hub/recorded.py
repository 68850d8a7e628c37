"""Submissions read from the hub: recorded by the addresses of their files, fetched to be read.

So that any machine can read a recorded submission: it fetches the files it does not have.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from errclust_pipeline.hub.address import HubAddress, is_hub_address
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.download import HubFile, download_folder
from errclust_pipeline.sources.base import Submission


def with_addresses(
    submission: Submission, before: Submission | None = None, same_files: bool = False
) -> Submission:
    """Return a submission read from fetched files with the files' addresses on the hub.

    Its revision becomes the commit that brought its content. The reader's revision, a hash of that
    content, becomes the option `content`. A submission that was read from other files is returned
    as it is.

    Parameters
    ----------
    submission : Submission
        As a reader returns it, with paths.
    before : Submission, optional
        What is recorded of it already. If only the commit differs, the content does not: then the
        recorded revision stays.
    same_files : bool
        Whether the whole files have the same content as then (a file that holds several
        submissions may have changed for another). Then the recorded addresses stay as well.
    """
    folder = download_folder()
    addresses = []
    for file in submission.files:
        if not Path(file).is_relative_to(folder):
            return submission
        owner, commit, name, *path = Path(file).relative_to(folder).parts
        addresses.append(HubAddress(owner, name, commit, "/".join(path)))
    addressed = dataclasses.replace(
        submission,
        files=tuple(map(str, addresses)),
        revision=str(addresses[0].revision),
        options={**submission.options, "content": submission.revision},
    )
    if before is not None and _without_commits(before) == _without_commits(addressed):
        return before if same_files else dataclasses.replace(addressed, revision=before.revision)
    return addressed


def _without_commits(submission: Submission) -> Submission:
    files = [
        str(dataclasses.replace(HubAddress.parse(file), revision=None))
        if is_hub_address(file)
        else file
        for file in submission.files
    ]
    return dataclasses.replace(submission, files=tuple(files), revision="")


def with_local_files(submission: Submission) -> Submission:
    """Return a recorded submission with files on this machine, fetched if they are not there.

    Raises
    ------
    HubError, HubBusyError
        As in `Hub.fetch`.
    """
    if not any(map(is_hub_address, submission.files)):
        return submission
    by_commit: dict[tuple[str, str], list[HubAddress]] = {}
    for file in submission.files:
        address = HubAddress.parse(file)
        by_commit.setdefault((address.repository, str(address.revision)), []).append(address)
    hub = Hub()
    local: dict[str, str] = {}
    for (repository, commit), addresses in by_commit.items():
        paths = hub.fetch(repository, commit, [HubFile(address.path) for address in addresses])
        local |= {str(address): str(path) for address, path in zip(addresses, paths, strict=True)}
    return dataclasses.replace(submission, files=tuple(local[file] for file in submission.files))
