"""The asset graph as plain values, for comparison with a recorded one."""

from __future__ import annotations

from typing import Any

import dagster as dg


def asset_specs(definitions: dg.Definitions) -> dict[str, dict[str, Any]]:
    """Return what Dagster knows of each asset before it is computed, by the asset's name."""
    graph = definitions.resolve_asset_graph()
    return {
        node.key.to_user_string(): {
            "automation": _automation(node.automation_condition),
            "checks": sorted(key.name for key in node.check_keys),
            "code_version": node.code_version,
            "description": node.description,
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "parents": sorted(key.to_user_string() for key in node.parent_keys),
            "partitions": _dimensions(node.partitions_def),
            "pool": next(iter(node.pools or ()), None),
        }
        for node in sorted(graph.asset_nodes, key=lambda node: node.key)
    }


def _automation(condition: dg.AutomationCondition | None) -> dict[str, str] | None:
    """Return a condition's label, and the identity under which Dagster remembers its past."""
    if condition is None:
        return None
    return {"label": str(condition.get_label()), "identity": condition.get_unique_id()}


def _dimensions(partitions: dg.PartitionsDefinition | None) -> list[str]:
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        return [dimension.name for dimension in partitions.partitions_defs]
    return [str(partitions.name)]
