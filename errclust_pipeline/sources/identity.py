"""A question's identity: the hash of its normalised text and choices, of one or of a whole column.

Normalised means Unicode NFC and runs of white space as one blank, so that the same question is the
same point of the map in every submission, whatever its row number.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
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
_MOST_BYTES = 1 << 30
"""Of texts normalised at once: Arrow counts a column's bytes in 32 bits."""


def question_id(question: str, choices: Sequence[str] | None) -> str:
    """Hash a question's identity, 32 hexadecimal digits."""
    parts = [question, *(choices or ())]
    # A NUL inside a text is no separator.
    text = _SEPARATOR.join(part.replace("\0", "\ufffd") for part in parts)
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return _hash(text.encode("utf-8", "surrogatepass"))


def question_ids(questions: pa.Array, choices: pa.Array | None = None) -> pa.Array:
    """Hash the identities of a column of questions; the same as `question_id` of each.

    Parameters
    ----------
    questions : Array of string
        Without nulls.
    choices : Array of list of string, optional
        Of the same length; null or empty where there are none. No choice is null.

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
    beyond_ascii = _rows_of(np.flatnonzero(content > _LAST_ASCII), places)
    content, places = _with_single_blanks(content, places)
    # Views into one object: nothing is copied for a text.
    view = memoryview(content.tobytes())
    ids = [_hash(view[start:end]) for start, end in pairwise(places.tolist())]
    for row in beyond_ascii.tolist():
        text = " ".join(unicodedata.normalize("NFC", texts[row].as_py()).split())
        ids[row] = _hash(text.encode())
    return pa.array(ids, pa.string())


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
    starts = np.zeros(len(content) + 1, np.bool_)
    starts[places] = True
    # Dropped: a blank at a text's start, and one before another blank or at a text's end.
    dropped = np.flatnonzero(blank & (np.append(blank[1:], True) | starts[1:]))
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


def _rows_of(
    found: npt.NDArray[np.integer], places: npt.NDArray[np.int32]
) -> npt.NDArray[np.integer]:
    """Return the numbers of the texts in which bytes were found, each once."""
    return np.unique(np.searchsorted(places, found, side="right") - 1)


def _hash(payload: bytes | memoryview) -> str:
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).hexdigest()
