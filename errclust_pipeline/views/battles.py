"""Battles of a battle set, read onto the map of their prompts."""

from __future__ import annotations

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import JudgedBattles
from errclust_pipeline.tables import BATTLES, PROMPT_MAP
from errclust_pipeline.vocabulary import JUDGE_KINDS
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_COLUMNS = ("model_a", "model_b", "winner", "question_id", "judge", "judge_kind", "subject")
_RESPONSE_COLUMNS = ("response_a", "response_b")


def read_prompt_map(store: Warehouse, battle_set: BattleSetPartition) -> QuestionMap:
    """Read the map of a battle set's prompts.

    Raises
    ------
    WarehouseError
        If the map does not exist yet.
    """
    return QuestionMap.from_table(store.read(PROMPT_MAP, battle_set).to_pandas())


def read_judged_battles(
    store: Warehouse, battle_set: BattleSetPartition, prompts: QuestionMap, responses: bool = False
) -> dict[str, JudgedBattles]:
    """Read the battles of a battle set by kind of judge; kinds without a battle are left out.

    Parameters
    ----------
    store : Warehouse
    battle_set : BattleSetPartition
    prompts : QuestionMap
        The result of `read_prompt_map`.
    responses : bool
        Whether to read the texts of the responses too.

    Raises
    ------
    WarehouseError
        If the battles were not ingested yet.
    KeyError
        If a prompt is not on the map.
    """
    columns = [*_COLUMNS, *(_RESPONSE_COLUMNS if responses else ())]
    rows = store.read(BATTLES, battle_set, columns=columns).to_pandas()
    of_kind = {
        kind: rows[rows["judge_kind"] == kind].reset_index(drop=True) for kind in JUDGE_KINDS
    }
    return {
        kind: JudgedBattles.from_rows(own_rows, prompts)
        for kind, own_rows in of_kind.items()
        if not own_rows.empty
    }
