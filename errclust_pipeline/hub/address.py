"""Addresses of dataset repositories on the hub, as people write them and as records keep them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from errclust_pipeline.hub.errors import HubError

_NAME = r"[A-Za-z0-9][\w.\-]*"
_ADDRESS = re.compile(
    rf"hf:(?://)?(?:(?P<kind>datasets|models|spaces|buckets|kernels)/)?(?P<owner>{_NAME})"
    rf"(?:/(?P<name>{_NAME})(?:@(?P<revision>[^/@]+))?(?:/(?P<path>.+?))?)?/?",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True)
class HubAddress:
    """A dataset repository at a revision, or a folder or file in it.

    Attributes
    ----------
    owner : str
        A user or an organisation.
    name : str
        The repository's name; empty if the address is the owner's (``hf:open-llm-leaderboard``).
    revision : str or None
        A branch, tag or commit.
    path : str
        A folder or file in the repository; empty for all of it.
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
            If the text is no such address.
        """
        match = _ADDRESS.fullmatch(text)
        if (
            match is None
            or match["kind"] not in (None, "datasets")
            or leads_outside(match["path"] or "")
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
        """Return the form that records hold and that fsspec understands."""
        if not self.name:
            return f"hf:{self.owner}"
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        path = f"/{self.path}" if self.path else ""
        return f"hf://datasets/{self.repository}{revision}{path}"


def is_hub_address(text: str) -> bool:
    """Return whether a text is meant as an address on the hub."""
    return text.startswith("hf:")


def leads_outside(path: str) -> bool:
    """Return whether a path in a repository would lead out of the folder it is stored in."""
    return path.startswith("/") or ".." in path.split("/") or "\0" in path
