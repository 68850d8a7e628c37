"""What is wrong with settings, in words that a user of errclust understands."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pydantic

BENCHMARK_PROBLEM = "benchmark_setting"
"""Type of the pydantic error that carries a problem with a benchmark's own section."""
_EXPECTED = {
    "bool_type": "expected true or false",
    "finite_number": "must be a finite number, not nan or inf",
    "float_type": "expected a number",
    "int_type": "expected a whole number",
    "string_type": "expected text in quotes",
    "tuple_type": "expected a list",
    "dict_type": "expected a section",
    "model_type": "expected a section",
}
"""Messages by the type of a pydantic error; other types speak for themselves."""
_KINDS = {
    bool: "a boolean",
    dict: "a section",
    int: "a whole number",
    list: "a list",
    str: "text",
}
_LOOKS_SECRET = ("key", "password", "secret", "token")


class SettingsError(ValueError):
    """Settings cannot be used; the message names the file or variable, the key and the remedy."""


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes
    ----------
    where : tuple of str
        The setting's path, such as ``("map", "neighbours")``.
    message : str
        What is wrong.
    got : str
        What kind of value was given instead, where that is known.
    """

    where: tuple[str, ...]
    message: str
    got: str = ""


def problems_of(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> list[Problem]:
    """Return the mistakes in a pydantic error.

    No message repeats a value: a key that was pasted into the wrong setting stays secret.

    Parameters
    ----------
    error : pydantic.ValidationError
    model : type of pydantic.BaseModel
        The settings that were validated.
    """
    return [_problem(details, model) for details in error.errors(include_url=False)]


def close_match(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name is probably a misspelling of; None if there is none."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return matches[0] if matches else None


def _problem(details: Any, model: type[pydantic.BaseModel]) -> Problem:
    where = tuple(str(part) for part in details["loc"])
    kind = details["type"]
    if kind == BENCHMARK_PROBLEM:
        return Problem(**details["ctx"])
    if kind == "extra_forbidden":
        return Problem(where, _unknown(where, model))
    if kind in _EXPECTED:
        return Problem(where, _EXPECTED[kind], _KINDS.get(type(details["input"]), ""))
    if kind in ("too_short", "too_long"):
        bound = details["ctx"].get("min_length" if kind == "too_short" else "max_length")
        return Problem(where, f"must hold at {'least' if kind == 'too_short' else 'most'} {bound}")
    message = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return Problem(where, message)


def _unknown(where: tuple[str, ...], model: type[pydantic.BaseModel]) -> str:
    fields: Any = model.model_fields
    for name in where[:-1]:
        fields = getattr(fields[name].annotation, "model_fields", {})
    name = where[-1]
    likely = close_match(name, fields)
    message = f"is not known; known are {', '.join(fields)}"
    if likely:
        return f"{message}; did you mean {likely}?"
    if any(word in name.lower() for word in _LOOKS_SECRET):
        return (
            f"{message}. Keys stand in no file: set the environment variable that "
            "language_model.key_variable names"
        )
    return message
