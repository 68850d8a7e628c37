"""Markdown for the Dagster UI: tables with bars, and pictures.

The UI shows Markdown of fewer than 1,000 characters at once and longer one at a click, so tables
are cut to fit; it renders no HTML, but pictures whose bytes stand in their address. All text may be
a third party's: it is escaped here, and nowhere else.
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
"""Characters of Markdown that the UI shows without a click."""
MOST_BYTES = 200_000
"""Of a picture's Markdown. Each materialisation keeps its own in the event log, so most are far
smaller."""
_DOTS_PER_INCH = 110
_COLOURS = 96
_LONGEST_CELL = 64
_BAR_CHARACTERS = 6
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class Share:
    """A cell that is a share of a whole, as per cent and as a bar.

    Attributes
    ----------
    value : float, optional
        0 to 1; what is not known is a dash.
    """

    value: float | None


Cell = str | int | float | Share | None


def words(text: str, longest: int = _LONGEST_CELL) -> str:
    """Return third-party text on one line, of which nothing is Markdown.

    Parameters
    ----------
    text : str
    longest : int
        Characters kept of it, at least 16.
    """
    return _PUNCTUATION.sub(r"\\\1", excerpt(text, longest))


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table; of one that is too long to be shown at once, the first rows.

    Parameters
    ----------
    columns : sequence of str
        Their headings, this project's own words.
    rows : sequence of sequences of str, int, float, Share or None
        Texts are escaped and cut.
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
    """Return a figure as an image whose bytes stand in the text.

    Parameters
    ----------
    figure : Figure
    what : str
        What is read where the image cannot be seen; third parties' words are escaped.

    Raises
    ------
    ValueError
        If it is too large at any resolution.
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
    # Saving would lay the figure out in a first drawing of its own.
    canvas.draw()
    small = io.BytesIO()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    # A palette takes a third of the bytes, and the eye sees no difference.
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
    """Return a text's length as the UI's script counts it."""
    return len(text.encode("utf-16-le")) // 2
