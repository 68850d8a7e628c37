"""The first stages on real results, against counts made here from the raw files."""

import json
import zipfile

import pytest

from errclust_pipeline import run as runs
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingest import ingest
from errclust_pipeline.instance import open_instance
from errclust_pipeline.tables import ERRORS, REJECTS, RESPONSES
from errclust_pipeline_tests.conftest import REAL_DATA


@pytest.mark.slow
def test_every_real_mmlu_pro_row_is_a_response_or_a_reject(warehouse, real_mmlu_pro):
    expected = {}
    for path in sorted(real_mmlu_pro.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            rows = json.loads(archive.read(name))
        model = path.name.removeprefix("model_outputs_").removesuffix("_5shots.zip")
        usable = [row for row in rows if isinstance(row, dict)]
        wrong = sum(row["pred"] != row["answer"] for row in usable)
        expected[model] = (len(usable), len(rows) - len(usable), wrong)
    assert sum(responses for responses, _, _ in expected.values()) == 94_563
    assert expected["DeepSeek-Coder-V2"][:2] == (10_351, 43)

    ingest(warehouse, [real_mmlu_pro])
    planned = [
        runs.PlannedRun(partition, ("raw_results", "error_table"))
        for partition in warehouse.submissions()
    ]
    with open_instance(warehouse.storage) as instance:
        finished = list(runs.execute(build_defs(warehouse.storage.url), instance, planned))
    assert [one.failure for one in finished] == [None] * 8
    found = {
        partition.model: tuple(
            warehouse.count(table, partition) for table in (RESPONSES, REJECTS, ERRORS)
        )
        for partition in warehouse.submissions()
    }
    assert found == expected


def test_a_real_harness_folder_is_read(warehouse):
    folder = REAL_DATA / "lm_eval"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    samples = [
        json.loads(line)
        for path in folder.rglob("samples_*")
        for line in path.open()
        if line.strip()
    ]
    (one,) = ingest(warehouse, [folder])
    planned = [runs.PlannedRun(one.partition, ("raw_results", "error_table"))]
    with open_instance(warehouse.storage) as instance:
        (finished,) = runs.execute(build_defs(warehouse.storage.url), instance, planned)
    assert finished.failure is None
    assert warehouse.count(RESPONSES, one.partition) == len(samples)
    assert warehouse.count(ERRORS, one.partition) == sum(
        row["exact_match"] < 0.5 for row in samples
    )
