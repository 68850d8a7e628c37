"""A question's identity: the hash of its normalised text and choices, of one or of a whole column.

Normalised means Unicode NFC and runs of white space as one blank, so that the same question is the
same point of the map in every submission, whatever its row number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_SEPARATOR = " \0 "
"""Stands between the parts of a question: a NUL is no white space and composes with nothing."""
_DIGEST_BYTES = 16
_BLANK = np.uint8(ord(" "))
_LAST_ASCII = np.uint8(0x7F)
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
"""White space beyond ASCII."""
_MOST_BYTES = 1 << 30
"""Maximum size of the texts normalised at once: Arrow counts a column's bytes in 32 bits."""


def question_id(question: str, choices: Sequence[str] | None) -> str:
    """Hash a question's identity, 32 hexadecimal digits."""
    parts = [question, *(choices or ())]
    # A NUL inside a text is no separator.
    return _hash(_normalised(_SEPARATOR.join(part.replace("\0", "\ufffd") for part in parts)))


def question_ids(questions: pa.Array, choices: pa.Array | None = None) -> pa.Array:
    """Hash the identities of a column of questions; the same as `question_id` of each.

    Parameters
    ----------
    questions : Array of string
        Without nulls.
    choices : Array of list of string, optional
        Choices of each question; null or empty where there are none. No choice is null.

    Returns
    -------
    Array of string
        32 hexadecimal digits each.
    """
    texts, nul_bytes = questions, 0
    if choices is not None and choices.null_count < len(choices):
        counts = pc.list_value_length(choices).fill_null(0)
        options = pc.if_else(pc.equal(counts, 0), None, pc.binary_join(choices, _SEPARATOR))
        texts = pc.binary_join_element_wise(texts, options, _SEPARATOR, null_handling="skip")
        nul_bytes = pc.sum(counts).as_py()
    payload, _ = text_bytes(texts)
    if np.count_nonzero(payload == 0) != nul_bytes or len(payload) > _MOST_BYTES:
        parts = [None] * len(questions) if choices is None else choices.to_pylist()
        return pa.array(list(map(question_id, questions.to_pylist(), parts)), pa.string())
    by_text = texts.dictionary_encode()
    return pc.take(_hashes(by_text.dictionary), by_text.indices)


def text_bytes(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Return the bytes of a column of texts, and the n + 1 places in them where a text begins.

    The last place is where they end.
    """
    _, offsets, values = texts.buffers()
    if len(texts) == 0 or offsets is None:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int32)
    places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(places[0]), int(places[-1])
    content = np.empty(0, np.uint8) if values is None else np.frombuffer(values, np.uint8)
    return content[first:last], places - np.int32(first)


def _hashes(texts: pa.Array) -> pa.Array:
    """Hash texts whose separators stand in them already."""
    content, places = text_bytes(texts)
    special = _special_rows(texts, content, places)
    content, places = _with_single_blanks(content, places)
    payload = content.tobytes()
    digests = [
        blake2b(payload[start:end], digest_size=_DIGEST_BYTES).digest()
        for start, end in pairwise(places.tolist())
    ]
    for row, text in special:
        digests[row] = _digest(_normalised(text))
    # All in hexadecimal at once, as Arrow holds texts: end to end.
    hexadecimal = b"".join(digests).hex().encode()
    ends = np.arange(len(digests) + 1, dtype=np.int32) * (2 * _DIGEST_BYTES)
    return pa.StringArray.from_buffers(len(digests), pa.py_buffer(ends), pa.py_buffer(hexadecimal))


def _special_rows(
    texts: pa.Array, content: npt.NDArray[np.uint8], places: npt.NDArray[np.int32]
) -> Iterator[tuple[int, str]]:
    """Yield the texts that need more than single blanks: few are not in NFC, or have wide blanks.

    Only texts beyond ASCII can be among them, so that most are not looked at one by one.
    """
    found = np.flatnonzero(content > _LAST_ASCII)
    rows = np.unique(np.searchsorted(places, found, side="right") - 1)
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        if _WIDE_SPACE.search(text) or not unicodedata.is_normalized("NFC", text):
            yield row, text


def _with_single_blanks(
    content: npt.NDArray[np.uint8], places: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Normalise ASCII: a blank for each run of white space, and none at a text's ends."""
    if not content.size:
        return content, places
    # What `str.split` splits ASCII at: \t to \r and \x1c to \x1f. Differences wrap around.
    is_space = (content - np.uint8(0x09) < 5) | (content - np.uint8(0x1C) < 4)
    if is_space.any():
        content = np.where(is_space, _BLANK, content)
    blank = content == _BLANK
    # Dropped: a blank before another one or at a text's end, and then one at a text's start.
    goes_on = np.empty_like(blank)
    goes_on[:-1] = blank[1:]
    goes_on[places[1:] - 1] = True
    dropped = np.flatnonzero(blank & goes_on)
    if dropped.size:
        content, places = _without(content, places, dropped)
    first = places[:-1][np.diff(places) > 0]
    leading = first[content[first] == _BLANK]
    if leading.size:
        content, places = _without(content, places, leading)
    return content, places


def _without(
    content: npt.NDArray[np.uint8], places: npt.NDArray[np.int32], dropped: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Leave out single bytes, given by their places in ascending order."""
    return (
        np.delete(content, dropped),
        (places - np.searchsorted(dropped, places)).astype(np.int32),
    )


def _normalised(text: str) -> bytes:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text.encode("utf-8", "surrogatepass")


def _hash(payload: bytes) -> str:
    return _digest(payload).hex()


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=_DIGEST_BYTES).digest()
