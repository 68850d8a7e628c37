"""Pages of the reference that are written from the code when the site is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


def pages() -> Mapping[str, Callable[[], str]]:
    """Return the Markdown writers of the generated pages, by the page's name."""
    from errclust_pipeline.cli.reference import commands_as_markdown
    from errclust_pipeline.settings import settings_as_markdown
    from errclust_pipeline.sources.registry import formats_as_markdown
    from errclust_pipeline.tables.reference import tables_as_markdown

    return {
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
