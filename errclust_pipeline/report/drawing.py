"""Draws maps, heat maps and intervals with matplotlib, in the style of all pictures.

Nothing here knows where numbers come from. Sizes are in inches. Text stays text in an SVG.
matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.plain_text import shortened_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_Parameters = ParamSpec("_Parameters")
_Drawn = TypeVar("_Drawn")

# The same as on the report's page. They differ in lightness, for readers with any colour vision.
SEQUENTIAL = ("#d9e1ea", "#f2d596", "#ee9f40", "#c85f14", "#7d2c05")
DIVERGING = ("#0b4a8f", "#6fa5d8", "#e3e1dd", "#f0a648", "#a8480a")
GROUPS = (
    "#0b4a8f", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#a8480a", "#7a6fb0", "#8a9a1f",
)  # fmt: skip
"""Colours of groups that have no order, close to those of Okabe and Ito."""
INK, DIM, NOTHING = "#1b2430", "#5b6878", "#d5dae0"
STRONG = 2.0
"""Number of standard deviations from zero at which a departure is marked."""
_SHOWN_SCALE = 100
_LARGEST_EXCESS = 25.0
_MOST_NAMES = 40


def styled(draw: Callable[_Parameters, _Drawn]) -> Callable[_Parameters, _Drawn]:
    """Decorate a function so that it draws in the style of all pictures."""

    @wraps(draw)
    def drawn(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Drawn:
        from matplotlib import rc_context

        # A dollar sign in a question must not start a formula.
        with rc_context({"svg.fonttype": "none", "font.size": 7.5, "text.parse_math": False}):
            return draw(*arguments, **options)

    return drawn


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure with one pair of axes; sizes are in inches."""
    from matplotlib.figure import Figure

    # pyplot would keep the figure in memory and need a display.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def colours(stops: tuple[str, ...]) -> Colormap:
    """Return a colour map that runs through some colours."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("errclust", list(stops))


def nearest_scale(scales: Iterable[int]) -> int:
    """Return the number of neighbours at which a map is shown: the nearest to 100."""
    return min(scales, key=lambda k: abs(k - _SHOWN_SCALE))


def add_scale(figure: Figure, axes: Axes, drawn: Any, what: str) -> None:
    """Add the colour bar of what was drawn, with its label."""
    bar = figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.01, label=what)
    bar.outline.set_visible(False)


def draw_marks(
    axes: Axes,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    hot: npt.NDArray[np.integer[Any]],
    beyond: bool,
) -> PathCollection:
    """Draw the points of a map, coloured by value; hot and cold ones have shapes of their own.

    Parameters
    ----------
    x, y : array, shape (n,)
    values : array, shape (n,)
        Percent or percentage points; NaN if unknown.
    hot : integer array, shape (n,)
        1 for hot, -1 for cold, 0 for neither.
    beyond : bool
        Whether the values are differences from what difficulty explains.
    """
    known = ~np.isnan(values)
    size = _dot_size(len(x))
    axes.scatter(x[~known], y[~known], s=size / 2, color=NOTHING, linewidths=0)
    limits = (-_LARGEST_EXCESS, _LARGEST_EXCESS)
    if not beyond and known.any():
        low, high = np.percentile(values[known], [1, 99]).round().tolist()
        limits = (low, high)
    for kind, marker, edge, scale_by in (
        (0, "o", "none", 0.5),
        (-1, "s", "#0b4a8f", 0.9),
        (1, "o", "#4a1a02", 1.1),
    ):
        chosen = known & (hot == kind)
        drawn = axes.scatter(
            x[chosen],
            y[chosen],
            c=values[chosen],
            s=size * scale_by,
            marker=marker,
            cmap=colours(DIVERGING if beyond else SEQUENTIAL),
            vmin=limits[0],
            vmax=limits[1],
            edgecolors=edge,
            linewidths=0 if kind == 0 else 0.25,
            rasterized=len(x) > 3000,
        )
    _as_map(axes)
    return drawn


def draw_groups(
    axes: Axes, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], groups: Sequence[str | None]
) -> None:
    """Draw the points of a map, coloured by group; points in no group are grey.

    Parameters
    ----------
    x, y : array, shape (n,)
    groups : sequence of str or None, length n
    """
    from matplotlib.colors import ListedColormap

    names = sorted({name for name in groups if name is not None}, key=_natural)
    number_of = {name: at % len(GROUPS) for at, name in enumerate(names)}
    numbers = [len(GROUPS) if group is None else number_of[group] for group in groups]
    axes.scatter(
        x, y, s=_dot_size(len(x)), c=numbers, cmap=ListedColormap([*GROUPS, NOTHING]), vmin=0,
        vmax=len(GROUPS), linewidths=0, rasterized=len(x) > 3000,
    )  # fmt: skip
    _as_map(axes)


def name_places(
    axes: Axes,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    groups: Sequence[str | None],
    names: Mapping[str, str],
) -> None:
    """Write the names of the largest groups in the middle of their points.

    Parameters
    ----------
    x, y : array, shape (n,)
    groups : sequence of str or None, length n
        Group of each point.
    names : mapping from group to name
        Third-party text.
    """
    from matplotlib.patheffects import withStroke

    of_point = np.array([group or "" for group in groups])
    present, counts = np.unique(of_point[of_point != ""], return_counts=True)
    for name in present[np.argsort(-counts, kind="stable")].tolist()[:_MOST_NAMES]:
        if name not in names:
            continue
        here = of_point == name
        axes.text(
            float(np.median(x[here])),
            float(np.median(y[here])),
            shortened_line(names[name], 26),
            ha="center",
            va="center",
            fontsize=5.5,
            color=INK,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
            in_layout=False,
        )


def draw_cells(
    axes: Axes,
    values: npt.NDArray[np.float64],
    strong: npt.NDArray[np.bool_],
    rows: Sequence[str],
    columns: Sequence[str],
) -> AxesImage:
    """Draw a heat map of differences, each cell with its number.

    Parameters
    ----------
    values : array, shape (rows, columns)
        Percentage points; NaN if there is no value.
    strong : bool array of the same shape
        Cells to print in bold.
    rows, columns : sequence of str
        Names as they are shown.
    """
    known = values[~np.isnan(values)]
    widest = max(5.0, float(np.abs(known).max(initial=0.0)))
    drawn = axes.imshow(values, cmap=colours(DIVERGING), vmin=-widest, vmax=widest, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        axes.text(
            column, row, f"{value:+.0f}", ha="center", va="center", fontsize=6,
            color="white" if abs(value) > 0.7 * widest else INK,
            fontweight="bold" if strong[row, column] else "normal",
            # Numbers stay inside their cells. Measuring each would take most of the time.
            in_layout=False,
        )  # fmt: skip
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=6.5)
    for side in axes.spines.values():
        side.set_visible(False)
    return drawn


@dataclass(frozen=True)
class Interval:
    """A number with its interval, drawn as a dot on a line.

    Attributes
    ----------
    name : str
        As it is shown.
    middle, low, high : float
    colour : str
    marker : str
    filled : bool
        Whether the dot is filled.
    """

    name: str
    middle: float
    low: float
    high: float
    colour: str = DIVERGING[0]
    marker: str = "o"
    filled: bool = True


def draw_intervals(axes: Axes, intervals: Sequence[Interval]) -> None:
    """Draw intervals in rows, the first at the bottom."""
    for row, interval in enumerate(intervals):
        axes.plot(
            [interval.low, interval.high], [row, row],
            color=interval.colour, linewidth=1.4, solid_capstyle="round",
        )  # fmt: skip
        axes.plot(
            interval.middle, row, marker=interval.marker, markersize=4, color=interval.colour,
            markerfacecolor=interval.colour if interval.filled else "white",
        )  # fmt: skip
    axes.set_yticks(range(len(intervals)), [interval.name for interval in intervals])
    axes.set_ylim(-0.6, len(intervals) - 0.4)
    axes.tick_params(labelsize=6.5, left=False)
    only_below(axes)


def only_below(axes: Axes) -> None:
    """Remove the frame except for its lower line."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _dot_size(points: int) -> float:
    return float(np.clip(12_000 / max(points, 1), 2.5, 26))


def _as_map(axes: Axes) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal")


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 10 after 9."""
    return [(int(part) if part.isdecimal() else -1, part) for part in name.split(".")]
