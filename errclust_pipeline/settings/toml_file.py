"""Reading a settings file: from bytes to TOML values, and where in the file a setting stands."""

from __future__ import annotations

import tomllib
from typing import Any

from errclust_pipeline.settings.problems import SettingsError
from errclust_pipeline.warehouse.storage import Storage

MAX_BYTES = 1_000_000
"""Maximum size of a settings file."""
MAX_DEPTH = 20
"""Maximum number of nested tables and lists; settings need five."""
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TomlFile:
    """A settings file that was read.

    Parameters
    ----------
    path : str
        For messages.
    text : str
        The file's text; empty if there is no file.

    Attributes
    ----------
    values : dict
        The file's values, not yet checked.

    Raises
    ------
    SettingsError
        If the text is not valid TOML, or nested more than `MAX_DEPTH` deep.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        # TOML ends lines by \n or \r\n.
        self._lines = text.split("\n")
        try:
            self.values: dict[str, Any] = tomllib.loads(text)
        except RecursionError:
            raise self._too_deep() from None
        except ValueError as error:
            raise SettingsError(f"{path} is not valid TOML: {error}") from error
        if depth_of(self.values) > MAX_DEPTH:
            raise self._too_deep()

    @classmethod
    def read(cls, storage: Storage, name: str) -> TomlFile:
        """Read a file below the root; a missing file counts as an empty one.

        Raises
        ------
        SettingsError
            If the file is larger than `MAX_BYTES`, not in UTF-8, or not valid TOML.
        """
        path = storage.path(name)
        if not storage.exists(path):
            return cls(path, "")
        with storage.open(path) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SettingsError(f"{path} is larger than {MAX_BYTES:,} bytes: not a settings file")
        if content.startswith(_UTF16_MARKS) or b"\0" in content:
            raise SettingsError(f"{path} is not in UTF-8 (perhaps in UTF-16): save it as UTF-8")
        try:
            return cls(path, content.removeprefix(_UTF8_MARK).decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise SettingsError(
                f"{path}, line {line}: not valid TOML, it is not in UTF-8: save it as UTF-8"
            ) from error

    def line_of(self, *paths: tuple[str, ...]) -> int | None:
        """Return the number of the line that sets a value; None if it cannot be told.

        Parameters
        ----------
        *paths : tuple of str
            The paths by which the file may name the setting, such as ``("map", "neighbours")``.
        """
        heading: tuple[str, ...] = ()
        heading_line = None
        for number, line in enumerate(self._lines, start=1):
            stripped = line.strip()
            if stripped.startswith("["):
                heading = _path(stripped)
                if heading and any(path[: len(heading)] == heading for path in paths):
                    heading_line = number
            elif "=" in stripped and not stripped.startswith("#"):
                key = heading + _path(f"{stripped.partition('=')[0]} = 0")
                if len(key) > len(heading) and any(path[: len(key)] == key for path in paths):
                    return number
        return heading_line

    def _too_deep(self) -> SettingsError:
        depth = 0
        for number, line in enumerate(self._lines, start=1):
            for character in line:
                depth += (character in "[{") - (character in "]}")
                if depth > MAX_DEPTH:
                    return SettingsError(
                        f"{self.path}, line {number}: nested more than {MAX_DEPTH} deep"
                    )
        return SettingsError(f"{self.path}: nested more than {MAX_DEPTH} deep")


def depth_of(values: Any) -> int:
    """Return how deep tables and lists are nested, without recursion."""
    depth, level = 0, [values] if isinstance(values, dict | list) else []
    while level:
        depth += 1
        children = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        level = [child for child in children if isinstance(child, dict | list)]
    return depth


def _path(line: str) -> tuple[str, ...]:
    """Return the keys that a line of TOML names; empty if it is not a line by itself."""
    try:
        values: Any = tomllib.loads(line)
    except (ValueError, RecursionError):
        return ()
    path: list[str] = []
    while isinstance(values, dict) and values:
        (key,) = values
        path.append(key)
        values = values[key]
        if isinstance(values, list):
            values = values[0] if values else None
    return tuple(path)
