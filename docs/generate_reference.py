"""Pages of the reference that are written from the code when the site is built."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType


def pages() -> Mapping[str, Callable[[], str]]:
    """Return the functions that write the generated pages, by the page's name."""
    from errclust_pipeline.cli.reference import commands_as_markdown
    from errclust_pipeline.settings import settings_as_markdown
    from errclust_pipeline.sources.registry import formats_as_markdown
    from errclust_pipeline.stages.reference import assets_as_markdown
    from errclust_pipeline.tables.reference import tables_as_markdown

    return {
        "api.md": api_as_markdown,
        "assets.md": assets_as_markdown,
        "commands.md": commands_as_markdown,
        "formats.md": formats_as_markdown,
        "settings.md": settings_as_markdown,
        "tables.md": tables_as_markdown,
    }


def write_reference_pages(folder: Path) -> None:
    """Write the generated pages; a page whose text is unchanged keeps its time of change."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in pages().items():
        path, text = folder / name, write()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def api_as_markdown() -> str:
    """Return the page of the analysis library: for each package a table of what it offers."""
    import errclust_pipeline.analysis as analysis

    parts = [
        "# Analysis API",
        "`errclust_pipeline.analysis` is a library on plain arrays: it reads no files and knows no "
        "Dagster. The [researcher's notebook](../notebooks/researcher.md) shows it in use.",
    ]
    for module in _modules(analysis):
        names = sorted(_public_names(module), key=str.lower)
        if not names:
            continue
        head = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        lines = "\n".join(f"   {name}" for name in names)
        parts.append(
            f"## `{module.__name__.removeprefix('errclust_pipeline.')}`\n\n{head}\n\n"
            f"```{{eval-rst}}\n.. currentmodule:: {module.__name__}\n\n"
            f".. autosummary::\n   :toctree: generated\n\n{lines}\n```"
        )
    return "\n\n".join(parts) + "\n"


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


def _public_names(module: ModuleType) -> list[str]:
    """Return the functions and classes that a module defines, or that a package exports."""
    exported = getattr(module, "__all__", None)
    names = exported if exported is not None else [name for name in vars(module) if name[0] != "_"]
    own = []
    for name in names:
        thing = getattr(module, name)
        if not (inspect.isfunction(thing) or inspect.isclass(thing)):
            continue
        if exported is not None or thing.__module__ == module.__name__:
            own.append(name)
    return own
