"""Markdown for the Dagster UI: tables with bars, and pictures.

The UI shows Markdown of fewer than 1,000 characters at once, and longer Markdown after a click, so
tables are cut to fit. It renders no HTML, but it does render pictures in data URLs. All text may
come from third parties: it is escaped here, and nowhere else.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.language import excerpt
from errclust_pipeline.report.drawing import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_AT_ONCE = 999
"""Maximum number of characters of Markdown that the UI shows without a click."""
MOST_BYTES = 200_000
"""Maximum size of a picture's Markdown. Each materialization stores its pictures in the event log,
so most are far smaller."""
_DOTS_PER_INCH = 110
_COLOURS = 96
_LONGEST_CELL = 64
_BAR_CHARACTERS = 6
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class Share:
    """A cell with a share of a whole, shown in percent and as a bar.

    Attributes
    ----------
    value : float, optional
        0 to 1; None and NaN are shown as a dash.
    """

    value: float | None


Cell = str | int | float | Share | None


def words(text: str, longest: int = _LONGEST_CELL) -> str:
    """Return third-party text on one line, escaped so that none of it is Markdown.

    Parameters
    ----------
    text : str
    longest : int
        Maximum number of characters that are kept, at least 16.
    """
    return _PUNCTUATION.sub(r"\\\1", excerpt(text, longest))


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table, cut to as many rows as the UI shows at once.

    Parameters
    ----------
    columns : sequence of str
        Headings, which are this project's words and not escaped.
    rows : sequence of sequences of str, int, float, Share or None
        Texts are escaped and shortened.
    """
    numeric = [all(not isinstance(row[at], str) for row in rows) for at in range(len(columns))]
    head = [_line(columns), _line(["--:" if right else "---" for right in numeric])]
    lines = [_line([_shown(cell) for cell in row]) for row in rows]
    kept = len(lines)
    while kept:
        more = [] if kept == len(lines) else ["", f"… and {len(lines) - kept:,} more"]
        text = "\n".join([*head, *lines[:kept], *more])
        if _utf16_length(text) <= SHOWN_AT_ONCE:
            return text
        kept -= 1
    return "\n".join([*head, *lines[:1]])


@styled
def picture(figure: Figure, what: str) -> str:
    """Return a figure as Markdown for an image in a data URL.

    Parameters
    ----------
    figure : Figure
    what : str
        Alternative text for readers who cannot see the image; it is escaped.

    Raises
    ------
    ValueError
        If the image is too large at any resolution.
    """
    for dots in (_DOTS_PER_INCH, _DOTS_PER_INCH * 2 // 3, _DOTS_PER_INCH // 2):
        encoded = base64.b64encode(_png(figure, dots)).decode("ascii")
        text = f"![{words(what, 300)}](data:image/png;base64,{encoded})"
        if len(text) < MOST_BYTES:
            return text
    raise ValueError(f"a picture of {what} takes {len(text):,} bytes")


def _png(figure: Figure, dots: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dots)
    canvas: Any = FigureCanvasAgg(figure)
    # Drawn here and not by savefig, which would draw the figure twice to lay it out.
    canvas.draw()
    small = io.BytesIO()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    # A palette takes a third of the bytes, without a visible difference.
    drawn.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(cell: Cell) -> str:
    if isinstance(cell, Share):
        if cell.value is None or cell.value != cell.value:
            return "–"
        return f"{_bar(cell.value)} {cell.value:.0%}"
    if isinstance(cell, str):
        return words(cell)
    if cell is None or cell != cell:
        return "–"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.1e}" if 0 < abs(cell) < 0.001 else f"{cell:,.3f}"


def _bar(share: float) -> str:
    eighths = round(8 * _BAR_CHARACTERS * min(max(share, 0.0), 1.0))
    whole, part = divmod(eighths, 8)
    return "█" * whole + _EIGHTHS[part].strip()


def _utf16_length(text: str) -> int:
    """Return the length of a text as JavaScript counts it."""
    return len(text.encode("utf-16-le")) // 2
