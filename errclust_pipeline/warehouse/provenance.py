"""Provenance: what a partition's file was computed from, kept in the file itself.

The Parquet metadata of each file hold it, so that the files alone answer "is this up to date?": no
event log can be lost, or say something else than the data. Nothing in it depends on when or where
the file was written. Comparing it with what a stage would compute now is the business of `stages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_METADATA_PREFIX = "errclust."


@dataclass(frozen=True)
class Provenance:
    """What a partition's data were computed from.

    Attributes
    ----------
    stage : str
        The asset that computed them.
    code_version : str
        The version of its code.
    data_version : str
        A hash of the rest: two files with the same data version hold the same data.
    inputs : mapping from str to str
        The data version of each upstream partition.
    settings : mapping from str to JSON value
        The settings that the asset read.
    """

    stage: str
    code_version: str
    data_version: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_metadata(self) -> dict[bytes, bytes]:
        """Encode the provenance as Parquet key-value metadata."""
        values = {
            "stage": self.stage,
            "code_version": self.code_version,
            "data_version": self.data_version,
            "inputs": json.dumps(dict(self.inputs), sort_keys=True),
            "settings": json.dumps(dict(self.settings), sort_keys=True),
        }
        return {(_METADATA_PREFIX + key).encode(): text.encode() for key, text in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> Provenance | None:
        """Decode what `to_metadata` encoded; None if the metadata hold no provenance."""
        prefix = _METADATA_PREFIX.encode()
        values = {
            key.removeprefix(prefix).decode(): text.decode()
            for key, text in (metadata or {}).items()
            if key.startswith(prefix)
        }
        try:
            return cls(
                values["stage"],
                values["code_version"],
                values["data_version"],
                json.loads(values["inputs"]),
                json.loads(values["settings"]),
            )
        except (KeyError, json.JSONDecodeError):
            return None
