"""The errors of files that cannot be used; imports nothing, so that a command can catch them."""

from __future__ import annotations


class SourceError(ValueError):
    """A file or folder that cannot be used; the message names it and says what was expected."""


class IncompleteSourceError(SourceError):
    """A file that needs another file beside it which is not there, and may come later."""


class UnknownFormatError(SourceError):
    """A file or folder in none of the known formats; the message lists those formats."""
