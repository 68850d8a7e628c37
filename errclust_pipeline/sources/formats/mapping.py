"""Mapping files: what the columns of a table hold, and what it does not say itself, in YAML.

A mapping is a reader's options in a file (`TableReader`), so that a dataset is described once:

.. code-block:: yaml

    benchmark: imdb
    model: my-org/my-classifier
    columns: {question: text, gold: label, prediction: predicted_label}
    labels: [negative, positive]
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from reprlib import repr as shown
from typing import Any

import yaml

from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.sources.battles.battle_table import MAPPED, NEEDED
from errclust_pipeline.sources.formats.table import DEFAULT_COLUMNS, OTHER_NAMES
from errclust_pipeline.sources.scoring import Scoring, parse_scale
from errclust_pipeline.vocabulary import WINNERS as SIDES

MAX_MAPPING_BYTES = 1 << 20

KEYS = (
    "benchmark", "model", "split", "threshold", "scale", "higher_is_better", "null_scores",
    "columns", "labels", "models", "rows", "join", "battles",
)  # fmt: skip

_COLUMN_NAMES = (*DEFAULT_COLUMNS, *OTHER_NAMES)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a mapping file.

    Returns
    -------
    dict
        Options of the table's reader.

    Raises
    ------
    SourceError
        If the file cannot be read, is not YAML, or has a key or value that is not known; the
        message names the file and the key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MAPPING_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_MAPPING_BYTES:
        raise SourceError(f"{path} is larger than {MAX_MAPPING_BYTES >> 20} MiB: is it a mapping?")
    try:
        double = _key_given_twice(yaml.compose(content, yaml.SafeLoader), set())
        given = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not valid YAML: {error}") from error
    if double is not None:
        raise SourceError(f"{path}: key {double!r} is given twice: leave one out")
    if not isinstance(given, dict):
        raise SourceError(f"{path} holds no keys: expected some of {', '.join(KEYS)}")
    _check_keys(path, "", given, KEYS)
    options = dict(given)
    for key in ("benchmark", "model", "split", "rows"):
        if key in given:
            options[key] = _text(path, key, given[key])
    threshold = given.get("threshold", 0.5)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise SourceError(f"{path}: threshold is {shown(threshold)}, expected a number")
    if "scale" in given:
        options["scale"] = _scale(path, given["scale"])
    try:
        Scoring.of_options(options)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    if "columns" in given:
        options["columns"] = _columns(path, "columns", given["columns"])
    if "join" in given:
        join = _named(path, "join", given["join"])
        _check_keys(path, "join", join, ("file", "on", "left", "right"))
        options["join"] = {name: _text(path, f"join: {name}", what) for name, what in join.items()}
    if "battles" in given:
        options["battles"] = _battles(path, given["battles"])
    if "labels" in given:
        options["labels"] = _labels(path, given["labels"])
    if "models" in given:
        models = _named(path, "models", given["models"])
        options["models"] = {
            _text(path, "models", model): _columns(path, f"models: {model}", columns)
            for model, columns in models.items()
        }
    return options


def _scale(path: Path, given: Any) -> list[float]:
    # YAML reads 0:10 as a number of base 60 in some versions, and as a text in others.
    if isinstance(given, int) and not isinstance(given, bool):
        raise SourceError(f'{path}: scale is {given}: put LOW:HIGH in quotes, e.g. "0:10"')
    try:
        return parse_scale(given) if isinstance(given, str) else list(given)
    except (SourceError, TypeError) as error:
        raise SourceError(
            f"{path}: scale is {shown(given)}, expected the lowest and the highest score, e.g. "
            '"0:10" or [0, 10]'
        ) from error


def _key_given_twice(node: Any, seen: set[int]) -> str | None:
    """Return a key that stands twice in one mapping, of which YAML would keep the last."""
    if not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return None
    seen.add(id(node))
    keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
    doubles = [key for key, times in keys.items() if times > 1]
    below = (_key_given_twice(value, seen) for _, value in node.value)
    return next(iter(doubles), None) or next((key for key in below if key is not None), None)


def _check_keys(path: Path, where: str, given: Mapping[Any, Any], known: Iterable[str]) -> None:
    for key in given:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key), list(known), 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise SourceError(
            f"{path}: {where and where + ': '}key {key!r} is not known: {hint}Known are "
            f"{', '.join(known)}"
        )


def _named(path: Path, where: str, given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, dict) or not given:
        raise SourceError(f"{path}: {where} is {shown(given)}, expected names with a value each")
    return given


def _text(path: Path, where: str, given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise SourceError(
            f"{path}: {where} is {shown(given)}, expected a text: put it in quotes if it is one"
        )
    return given


def _columns(path: Path, where: str, given: Any) -> dict[str, Any]:
    columns = _named(path, where, given)
    _check_keys(path, where, columns, _COLUMN_NAMES)
    checked: dict[str, Any] = {}
    for what, column in columns.items():
        name = OTHER_NAMES.get(what, what)
        if name in checked:
            raise SourceError(f"{path}: {where}: {what} and its other name are both given")
        at = f"{where}: {what}"
        if name == "input_text" and isinstance(column, list) and column:
            checked[name] = [_text(path, at, part) for part in column]
        else:
            checked[name] = _text(path, at, column)
    return checked


def _battles(path: Path, given: Any) -> dict[str, Any]:
    """Return the columns of a table of battles, and what its values for the winner mean."""
    battles = dict(_named(path, "battles", given))
    _check_keys(path, "battles", battles, MAPPED)
    missing = [name for name in NEEDED if name not in battles]
    if missing:
        raise SourceError(f"{path}: battles names no column for {', '.join(missing)}")
    winner, winners = battles["winner"], {}
    if isinstance(winner, dict):
        _check_keys(path, "battles: winner", winner, ("column", "values"))
        battles["winner"] = winner.get("column")
        values = _named(path, "battles: winner: values", winner.get("values"))
        winners = {str(value): meant for value, meant in values.items()}
        unknown = [meant for meant in winners.values() if meant not in SIDES]
        if unknown:
            raise SourceError(
                f"{path}: battles: winner: values has {shown(unknown[0])}, expected one of "
                f"{', '.join(SIDES)}"
            )
    columns = {name: _text(path, f"battles: {name}", column) for name, column in battles.items()}
    return {"columns": columns, "winners": winners}


def _labels(path: Path, given: Any) -> list[str]:
    """Return the labels' names in the order of their numbers."""
    if isinstance(given, dict) and given:
        if set(given) != set(range(len(given))):
            raise SourceError(
                f"{path}: labels has the numbers {', '.join(map(str, given))[:200]}, expected 0, "
                "1, … without a gap"
            )
        given = [given[number] for number in range(len(given))]
    if not isinstance(given, list) or not given:
        raise SourceError(f"{path}: labels is {shown(given)}, expected the labels' names in a list")
    names = [_text(path, "labels", name) for name in given]
    if len(set(names)) < len(names):
        raise SourceError(f"{path}: labels holds a name twice")
    return names
