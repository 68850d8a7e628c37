"""Renders a report as one HTML file that opens from disk and needs no network.

Third-party text never becomes markup. The page holds it as data: JSON in which every character that
could end a script is escaped, and texts as compressed bytes. The page's script puts them into text
nodes only, and the page's content security policy allows nothing but its own script and style.

The page's sources are in the folder `page`: a template, a style, and the script's ES modules, which
are joined into one script here.
"""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from errclust_pipeline import __version__
from errclust_pipeline.analysis.plain_text import visible_line
from errclust_pipeline.report.contents import ReportContents, ReportError, TextLengths
from errclust_pipeline.warehouse.storage import Storage

MOST_BYTES = 15_000_000
"""Maximum size of a report, so that it can be mailed and opens on a phone."""
MODULES = (
    "words", "state", "elements", "colours", "data", "selection",
    "rows", "selected_rows", "leaderboard", "signatures",
    "map", "map_moves", "error_map", "error_region", "hot_regions",
    "compare", "confidence", "confidence_regions", "clusters",
    "battles", "ratings", "topics", "battle_map", "battle_region", "battle_compare", "battle_rows",
    "start",
)  # fmt: skip
"""Modules of the page's script, in the order in which they are joined: a module whose values others
need while they load comes first, and the one that starts the page last."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "[^"]*";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const |let |function |async )", re.MULTILINE)


def write_report(contents: ReportContents, path: Path, most_bytes: int = MOST_BYTES) -> int:
    """Write a report beside its target, then rename it, so that no reader sees half a file.

    Parameters
    ----------
    contents : ReportContents
    path : Path
    most_bytes : int
        Maximum size of the file.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    ReportError
        If the report is too large however short its texts are cut.
    """
    page = render_page(contents, most_bytes).encode()
    with Storage(str(path.parent)).write(str(path)) as file:
        file.write(page)
    return len(page)


def render_page(contents: ReportContents, most_bytes: int = MOST_BYTES) -> str:
    """Return the HTML of a report, its texts cut only as far as `most_bytes` requires.

    Raises
    ------
    ReportError
        If the report is too large however short its texts are cut.
    """
    lengths = TextLengths()
    while True:
        page = _page(contents.numbers, contents.texts_cut(lengths))
        # Every character outside ASCII is in the texts, which are in base64: characters are bytes.
        if len(page) <= most_bytes:
            return page
        if lengths.are_shortest:
            remedy = (
                "ingest part of the battles as a battle set of its own"
                if contents.numbers["kind"] == "battles"
                else "name fewer models, with --model"
            )
            raise ReportError(
                f"the report would have {len(page) / 1e6:.0f} MB, more than the maximum of "
                f"{most_bytes / 1e6:.0f} MB: {remedy}"
            )
        lengths = lengths.shorter()


def _page(numbers: dict[str, Any], texts: dict[str, Any]) -> str:
    script, style, template = joined_script(), _source("page.css"), _source("page.html")
    made = datetime.datetime.now(datetime.UTC)
    numbers = numbers | {"version": __version__, "made": made.isoformat(timespec="seconds")}
    values = {
        "title": html.escape(visible_line(numbers["benchmark"])),
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


@cache
def _source(name: str) -> str:
    return files("errclust_pipeline.report").joinpath("page", name).read_text("utf-8")


@cache
def joined_script() -> str:
    """Return the modules of the page's script as one script.

    The modules become one function scope, without their imports and exports, so that the page has
    no global names and its policy has one script to allow. Their top-level names must therefore
    differ.
    """
    modules = [_EXPORT.sub("", _IMPORT.sub("", _source(f"{name}.js"))) for name in MODULES]
    return "\n".join(["(() => {", '"use strict";', *modules, "})();\n"])


def _json_in_script(value: Any) -> str:
    """Return JSON that HTML cannot take for markup."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _compressed(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # UTF-8 cannot encode the lone surrogates that Python's JSON reader lets through.
    data = gzip.compress(text.encode("utf-8", "replace"), compresslevel=9, mtime=0)
    return base64.b64encode(data).decode("ascii")


def _fingerprint(text: str) -> str:
    """Return the hash by which a content security policy allows a script or a style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
