"""Asset `hot_spots`: where a model's errors concentrate, raw and beyond difficulty."""

from typing import Any

import dagster as dg
import pandas as pd

from errclust_pipeline.analysis.spatial import (
    ErrorTests,
    MapTexts,
    adjusted_tests,
    expected_errors_if_known,
    hot_region_table,
    local_hot_spots_at_scales,
    scan,
    usable_scales,
)
from errclust_pipeline.analysis.spatial.hot_spot_table import hot_spot_table
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import HOT_SPOTS_STAGE
from errclust_pipeline.tables import HOT_REGIONS, HOT_SPOTS
from errclust_pipeline.views.marks import (
    read_error_matrix,
    read_layout,
    read_map,
    read_marks,
    read_phrases,
    read_region_names,
)


@stage_asset(HOT_SPOTS_STAGE)
def hot_spots(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Local statistics of every question, and the hot regions they make (table hot_regions)."""
    target = open_submission(context, warehouse)
    store, partition = target.warehouse, target.partition
    chosen = target.chosen.statistics
    questions = read_map(store, partition.benchmark)
    marks = read_marks(store, partition, questions, chosen.leave_out_artefacts)
    error_matrix = read_error_matrix(store, partition, questions, marks, chosen.leave_out_artefacts)
    expected = expected_errors_if_known(error_matrix, 0, questions.neighbours)
    if expected is None:
        context.log.warning(
            "fewer than 3 models on this benchmark: difficulty cannot be told apart from the "
            "model's own weakness, so only raw statistics are computed"
        )
    scales = usable_scales(len(questions), questions.neighbours.shape[1], chosen.scales)
    tests = local_hot_spots_at_scales(marks.errors, questions.neighbours, scales)
    adjusted = (
        adjusted_tests(marks.errors, expected, questions.neighbours, scales)
        if expected is not None
        else None
    )
    spots = hot_spot_table(questions.question_ids, marks.errors, tests, expected, adjusted)
    region_names = read_region_names(store, partition.benchmark)
    if questions.kernel is None:
        regions = pd.DataFrame(columns=HOT_REGIONS.schema.names)
    else:
        regions = hot_region_table(
            questions.kernel,
            MapTexts(
                questions.question_ids,
                questions.region_ids,
                region_names,
                read_phrases(store, partition.benchmark, questions),
            ),
            ErrorTests(
                marks.errors,
                marks.failure_forms,
                tests,
                expected,
                adjusted,
                scan(marks.errors, questions.neighbours, alpha=chosen.fdr),
            ),
            chosen.fdr,
        )
    region_rows = HOT_REGIONS.from_frame(regions)
    hot = spots[spots["q_hot"] < chosen.fdr]
    return target.materialize(
        {HOT_SPOTS: HOT_SPOTS.from_frame(spots), HOT_REGIONS: region_rows},
        region_rows.select(
            ["basis", "rank", "label", "key_phrases", "size", "errors", "rate", "outside_rate"]
        ),
        {
            "hot_questions_by_k": {str(k): int((hot["k"] == k).sum()) for k in scales},
            "hot_regions": region_rows.num_rows,
            "artefacts_left_out": chosen.leave_out_artefacts,
            "adjusted_for_difficulty": expected is not None,
        },
        lambda: asset_summaries.summarize_hot_spots(
            spots,
            regions,
            read_layout(store, partition.benchmark),
            region_names,
            chosen.fdr,
            target.title,
        ),
    )
