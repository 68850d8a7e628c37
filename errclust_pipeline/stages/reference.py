"""The reference of all assets as Markdown, written from the registry when the site is built."""

from __future__ import annotations

from errclust_pipeline.stages.declarations import (
    PHASE_DESCRIPTIONS,
    PHASES,
    Automation,
    Stage,
    WithRunOf,
)

_WHEN = {
    Automation.ON_REQUEST: "when a sensor or a command requests it",
    Automation.WITH_UPSTREAM: "in the same run as what it reads",
    Automation.ON_NEW_CONTENT: "when the content of what it reads has changed",
    Automation.ON_ANY_SUBMISSION: "when a submission of the benchmark was computed",
}
_HEADER = ("Asset", "Reads", "Writes", "Computed by itself", "Pool")


def assets_as_markdown() -> str:
    """Return the page that describes every job and every asset."""
    parts = [
        "# Assets",
        "Each asset is computed for one partition at a time: a model on a benchmark, a benchmark, "
        "or a battle set. The assets of one job have the same partitions. An asset of a benchmark "
        "reads those of all its models; *in italics* stand assets that only some models have. See "
        "[adding an asset](../contributing/add-an-asset.md).",
    ]
    for phase, stages in PHASES.items():
        rows = [_HEADER, ("---",) * len(_HEADER), *map(_row, stages)]
        lines = (f"| {' | '.join(row)} |" for row in rows)
        kept_by = stages[0].kept_by
        parts += [
            f"## Job `{phase}`",
            f"{PHASE_DESCRIPTIONS[phase]} One partition for each {kept_by}.",
            "\n".join(lines),
        ]
    return "\n\n".join(parts) + "\n"


def _row(stage: Stage) -> tuple[str, ...]:
    reads = [
        f"*`{asset}`*" if asset in stage.optional_upstream else f"`{asset}`"
        for asset in stage.upstream
    ]
    tables = [f"[{table.name}](tables.md#table-{_anchor(table.name)})" for table in stage.tables]
    automation = stage.automation
    when = (
        f"in the run of `{automation.asset}`"
        if isinstance(automation, WithRunOf)
        else _WHEN[automation]
    )
    source = ", ".join(reads) or "the submitted files"
    return (f"**`{stage.asset}`**", source, ", ".join(tables), when, stage.pool or "")


def _anchor(name: str) -> str:
    return name.replace("_", "-")
