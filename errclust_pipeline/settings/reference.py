"""The settings reference, rendered as Markdown from the sections, for the documentation."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from functools import lru_cache
from typing import Any

import pydantic

from errclust_pipeline.settings.environment import variable_name
from errclust_pipeline.settings.project import BenchmarkSettings, Settings
from errclust_pipeline.settings.sections import Section

_TYPES = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "sections",
}
_LARGEST_SHOWN = 1_000_000
"""Upper limits above this number only guard against mistakes, and are not shown."""
_INTRODUCTION = """\
# Settings

Settings stand in `errclust.toml` in the data root; every setting has a default. An environment
variable counts more than the file: `ERRCLUST_EMBEDDING__MODEL=static` sets `model` in
`[embedding]`. In the environment, lists and whole sections are written as JSON, and `null` resets
an optional setting.

Types are strict: a number stands without quotes, and `true` is not a number. A setting that is
unknown or out of range is an error that names the line.

Settings are part of the data version of what they influence: if one changes, `errclust run`
recomputes what depends on it. This holds for overrides from the environment too, so set them for
every process that works on the data root.

`[errors]`, `[clustering]`, `[map]`, `[statistics]`, `[diagnosis]` and `[selection]` may stand again
for one benchmark, by its key, such as `[benchmarks.gsm8k.errors]`. A benchmark's own setting counts
more than the setting for all benchmarks, wherever that one was set.
"""


def settings_as_markdown() -> str:
    """Return a page of Markdown: key, type, default, variable and description of every setting."""
    parts = [_INTRODUCTION]
    single = [name for name, info in Settings.model_fields.items() if _section(info) is None]
    parts.append("## At the top of the file\n\n" + _table(Settings, (), single))
    for name, info in Settings.model_fields.items():
        section = _section(info)
        if section is not None:
            description = inspect.cleandoc(section.__doc__ or "")
            table = _table(section, (name,), list(section.model_fields))
            parts.append(f"## `[{name}]`\n\n{description}\n\n{table}")
    parts.append("## Old names\n\n" + _old_names())
    return "\n\n".join(part.strip() for part in parts) + "\n"


@lru_cache
def descriptions(model: type[pydantic.BaseModel]) -> dict[str, str]:
    """Return what the docstring below each setting of a section says, on one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            found[statement.target.id] = " ".join(following.value.value.split())
    return found


def _section(info: Any) -> type[Section] | None:
    annotation = info.annotation
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation if is_section else None


def _table(model: type[pydantic.BaseModel], path: tuple[str, ...], names: list[str]) -> str:
    properties = model.model_json_schema()["properties"]
    told = descriptions(model)
    rows = ["| setting | type | default | environment variable | description |", "|" + "---|" * 5]
    for name in names:
        info = model.model_fields[name]
        default = info.get_default(call_default_factory=True)
        cells = (
            f"`{name}`",
            _type(properties[name]),
            "not set" if default in (None, {}) else f"`{json.dumps(default)}`",
            f"`{variable_name((*path, name))}`",
            told[name],
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        (schema,) = [option for option in schema["anyOf"] if option.get("type") != "null"]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list; each item: {_type(schema['items'])}"
    return _TYPES[schema["type"]] + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    limits = [
        f"{words} {schema[name]:,}"
        for name, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if name in schema and schema[name] <= _LARGEST_SHOWN
    ]
    return f", {' and '.join(limits)}" if limits else ""


def _old_names() -> str:
    lines = ["These names are still accepted, with a warning:", ""]
    for name, info in BenchmarkSettings.model_fields.items():
        section = _section(info)
        for old, new in (section.old_names if section else {}).items():
            lines.append(f"* `{name}.{old}` is called `{name}.{new}` now.")
    return "\n".join(lines)
