"""Readers, one a format: each turns result files into the canonical responses schema.

Importing this package imports no reader and no library: names are imported when they are first
used, so that the command line's help can list the formats at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from errclust_pipeline.sources.base import Batch, Reader, Submission
    from errclust_pipeline.sources.errors import (
        IncompleteSourceError,
        SourceError,
        UnknownFormatError,
    )
    from errclust_pipeline.sources.finding import (
        READERS,
        check_options,
        find_submissions,
        read_submission,
    )

__all__ = [
    "READERS",
    "Batch",
    "IncompleteSourceError",
    "Reader",
    "SourceError",
    "Submission",
    "UnknownFormatError",
    "check_options",
    "find_submissions",
    "read_submission",
]

_HOME = {
    **dict.fromkeys(("Batch", "Reader", "Submission"), "base"),
    **dict.fromkeys(("IncompleteSourceError", "SourceError", "UnknownFormatError"), "errors"),
    **dict.fromkeys(("READERS", "check_options", "find_submissions", "read_submission"), "finding"),
}
"""The module of this package in which each name is defined."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
