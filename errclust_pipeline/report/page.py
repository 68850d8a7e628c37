"""The report as one HTML file that opens from a disk, without network.

Third-party text never becomes markup. What the page shows stands in it as data: JSON in which every
character that could end a script is escaped, and texts as compressed bytes. The page's script puts
them into text nodes only, and its policy lets nothing run or load but what stands in the file.
"""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import html
import json
import unicodedata
from importlib.resources import files
from pathlib import Path
from typing import Any

from errclust_pipeline import __version__
from errclust_pipeline.report.contents import ReportContents, ReportError, TextLengths
from errclust_pipeline.warehouse.storage import Storage

MOST_BYTES = 15_000_000
"""Of a report, so that it can be mailed and opens on a phone."""


def write_report(contents: ReportContents, path: Path, most_bytes: int = MOST_BYTES) -> int:
    """Write a report beside its target and rename it: a reader sees the old one or the new one.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    ReportError
        If it is too large.
    """
    page = render_page(contents, most_bytes).encode()
    with Storage(str(path.parent)).write(str(path)) as file:
        file.write(page)
    return len(page)


def render_page(contents: ReportContents, most_bytes: int = MOST_BYTES) -> str:
    """Return the HTML of a report.

    Texts are cut only as far as it takes to stay below `most_bytes`.

    Raises
    ------
    ReportError
        If it is too large however short its texts are.
    """
    lengths = TextLengths()
    while True:
        page = _page(contents.numbers, contents.texts_cut(lengths))
        # All but ASCII is in the texts, and those are in base64.
        if len(page) <= most_bytes:
            return page
        if lengths.are_shortest:
            remedy = (
                "ingest a part of the battles as a battle set of its own"
                if contents.numbers["kind"] == "battles"
                else "name fewer models, with --model"
            )
            raise ReportError(
                f"the report would take {len(page) / 1e6:.0f} MB, and {most_bytes / 1e6:.0f} MB "
                f"are the most: {remedy}"
            )
        lengths = lengths.shorter()


def _page(numbers: dict[str, Any], texts: dict[str, Any]) -> str:
    folder = files("errclust_pipeline.report")
    script, style, template = (
        folder.joinpath(name).read_text("utf-8") for name in ("page.js", "page.css", "page.html")
    )
    made = datetime.datetime.now(datetime.UTC)
    numbers = numbers | {"version": __version__, "made": made.isoformat(timespec="seconds")}
    values = {
        "title": html.escape(_one_line(numbers["benchmark"])),
        "policy": (
            f"default-src 'none'; script-src '{_fingerprint(script)}'; "
            f"style-src '{_fingerprint(style)}'; base-uri 'none'; form-action 'none'"
        ),
        "style": style,
        "numbers": _json_in_script(numbers),
        "texts": _compressed(texts),
        "script": script,
    }
    pieces = template.split("{{")
    page = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        page += [values[name], rest]
    return "".join(page)


def _json_in_script(value: Any) -> str:
    """Return JSON that stays data wherever it stands in HTML."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _compressed(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, which Python's JSON reader lets through, is no text: UTF-8 has none.
    data = gzip.compress(text.encode("utf-8", "replace"), compresslevel=9, mtime=0)
    return base64.b64encode(data).decode("ascii")


def _fingerprint(text: str) -> str:
    """Return what a content security policy calls a script or a style by."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _one_line(text: str) -> str:
    return "".join(letter if unicodedata.category(letter)[0] != "C" else " " for letter in text)
