"""Stage 9: where a model's errors concentrate, raw and beyond difficulty."""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import (
    AdjustedTest,
    ErrorTests,
    LocalTest,
    MapTexts,
    adjusted_tests,
    expected_errors_if_known,
    hot_region_table,
    local_hot_spots_at_scales,
    scan,
    usable_scales,
)
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
    told,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
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


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["question_map", "region_labels", "raw_results", "error_table"],
    group_name="statistics",
    kinds={"scipy", "parquet"},
    code_version=HOT_SPOTS_STAGE.code_version,
)
@retry_what_is_transient
def hot_spots(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Local statistics of every question, and the hot regions they make (table hot_regions)."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(HOT_SPOTS_STAGE, store, settings, partition)
    chosen = settings.for_benchmark(partition.benchmark).statistics
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
    spots = _spot_rows(questions, marks.errors, tests, expected, adjusted)
    if questions.kernel is None:
        regions = pd.DataFrame(columns=HOT_REGIONS.schema.names)
    else:
        regions = hot_region_table(
            questions.kernel,
            MapTexts(
                questions.question_ids,
                questions.region_ids,
                read_region_names(store, partition.benchmark),
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
    region_rows = pa.Table.from_pandas(regions, schema=HOT_REGIONS.schema, preserve_index=False)
    rows = pa.Table.from_pandas(spots, schema=HOT_SPOTS.schema, preserve_index=False)
    store.write(HOT_REGIONS, partition, region_rows, made_from)
    store.write(HOT_SPOTS, partition, rows, made_from)
    hot = spots[spots["q_hot"] < chosen.fdr]
    return materialized(
        store,
        HOT_SPOTS,
        partition,
        made_from,
        rows.num_rows,
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
            read_region_names(store, partition.benchmark),
            chosen.fdr,
            told(partition),
        ),
    )


def _spot_rows(
    questions: QuestionMap,
    errors: Any,
    tests: list[LocalTest],
    expected: Any,
    adjusted: list[AdjustedTest] | None,
) -> pd.DataFrame:
    ids = np.array(questions.question_ids, dtype=object)
    known = ~np.isnan(errors)
    frames = []
    for position, test in enumerate(tests):
        frame = test.to_frame().assign(question_id=ids, error=errors == 1)
        if adjusted is not None:
            own = adjusted[position]
            frame = frame.assign(
                expected_error=expected,
                adjusted_expected=own.expected,
                adjusted_p_hot=own.p_hot,
                adjusted_q_hot=own.q_hot,
                adjusted_p_cold=own.p_cold,
                adjusted_q_cold=own.q_cold,
            )
        frames.append(frame[known])
    rows = pd.concat(frames, ignore_index=True)
    for name in HOT_SPOTS.schema.names:
        if name not in rows:
            rows[name] = np.nan
    rows = rows.astype({"errors": "int32", "draws": "int32", "k": "int32"})
    table: pd.DataFrame = rows[list(HOT_SPOTS.schema.names)]
    return table
