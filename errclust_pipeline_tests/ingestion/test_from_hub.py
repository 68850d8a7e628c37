import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.hub.address import HubAddress
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.errors import HubError, HubMissingError
from errclust_pipeline.hub.recorded import with_local_files
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.ingestion.from_hub import FromHub, HubRequest, ingest_from_hub
from errclust_pipeline.ingestion.leaderboards import top_models
from errclust_pipeline.orchestration.assets.battles import battles
from errclust_pipeline.orchestration.assets.raw_results import raw_results
from errclust_pipeline.orchestration.partitions import add_partitions, partition_key
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.sources import SourceError, read_submission
from errclust_pipeline.tables import BATTLE_REJECTS, BATTLES, RESPONSES
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import REAL_DATA
from errclust_pipeline_tests.helpers.battle_files import mt_bench_row, write_lmsys
from errclust_pipeline_tests.helpers.hub_server import HubServer, hub_environment, hub_server
from errclust_pipeline_tests.helpers.leaderboards import (
    ARC,
    EARLY_TIME,
    GSM8K,
    TASKS,
    TIME,
    contents,
    details_name,
    details_v1,
    details_v2,
    parquet,
)
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.sources.formats.test_open_llm_leaderboard_v1 import COLUMNS

V2, V1 = HubAddress("open-llm-leaderboard"), HubAddress("open-llm-leaderboard-old")
SNARKS, IFEVAL, MMLU_PRO = "leaderboard_bbh_snarks", "leaderboard_ifeval", "leaderboard_mmlu_pro"
SOME = (SNARKS, "leaderboard_bbh_navigate", IFEVAL)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def add_v2(hub: HubServer, model: str, gated: bool = False, **options: Any) -> Any:
    files = details_v2(model, **({"tasks": SOME} | options))
    return hub.add(f"open-llm-leaderboard/{model.replace('/', '__')}-details", files, gated=gated)


def add_v1(hub: HubServer, model: str, *runs: dict[str, bytes]) -> Any:
    files = {path: data for run in runs for path, data in run.items()}
    return hub.add(f"open-llm-leaderboard-old/details_{model.replace('/', '__')}", files)


def ingest_hub(
    warehouse: Warehouse,
    address: HubAddress,
    reader: str | None = None,
    options: dict[str, Any] | None = None,
    copy: bool = False,
    **wanted: Any,
) -> FromHub:
    calls = {name: wanted.pop(name) for name in ("on_model", "on_model_done") if name in wanted}
    request = HubRequest(address, reader, options or {}, **wanted)
    return ingest_from_hub(warehouse, request, copy, **calls)


def of(warehouse: Warehouse, benchmark: str, model: str) -> Any:
    return warehouse.submission(SubmissionPartition.of_names(benchmark, model))[0]


def test_a_model_of_the_leaderboard_is_ingested_with_all_its_tasks(
    hub: HubServer, warehouse: Warehouse
) -> None:
    repository = add_v2(hub, "org/model", tasks=TASKS, rows=2)
    found = ingest_hub(warehouse, V2, options={"model": "org/model"})
    assert {one.partition for one in found.ingested} == {
        SubmissionPartition(task, "org__model") for task in TASKS
    }
    submission = of(warehouse, SNARKS, "org/model")
    path = f"org__model/samples_{SNARKS}_{TIME}.jsonl"
    name = f"open-llm-leaderboard/org__model-details@{repository.head}"
    assert submission.files == (f"hf://datasets/{name}/{path}",)
    assert (submission.revision, submission.reader) == (repository.head, "lm_eval")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SNARKS, {SNARKS}),
        ("bbh_snarks", {SNARKS}),
        ("leaderboard_bbh", {SNARKS, "leaderboard_bbh_navigate"}),
        ("bbh", {SNARKS, "leaderboard_bbh_navigate"}),
    ],
)
def test_only_the_benchmark_that_is_wanted_is_fetched(
    hub: HubServer, warehouse: Warehouse, wanted: str, expected: set[str]
) -> None:
    add_v2(hub, "org/model")
    found = ingest_hub(warehouse, V2, options={"model": "org/model", "benchmark": wanted})
    assert {one.submission.benchmark for one in found.ingested} == expected
    # Each by one question what it is and one for it, as for the results file.
    assert hub.count("/resolve/") == 2 * (len(expected) + 1)
    assert found.fetched.files == len(expected) + 1
    again = ingest_hub(warehouse, V2, options={"model": "org/model", "benchmark": wanted})
    assert again.fetched.files == again.fetched.size == 0
    assert hub.count("/resolve/") == 2 * (len(expected) + 1)


def test_a_benchmark_that_is_not_there_is_named_with_those_that_are(
    hub: HubServer, warehouse: Warehouse
) -> None:
    add_v2(hub, "org/model")
    with pytest.raises(SourceError, match=rf"no benchmark 'hellaswag'; it has: .*{IFEVAL}"):
        ingest_hub(warehouse, V2, options={"model": "org/model", "benchmark": "hellaswag"})
    assert warehouse.submissions() == []


def test_the_newest_run_of_each_task_counts_unless_another_is_chosen(
    hub: HubServer, warehouse: Warehouse
) -> None:
    repository = add_v2(hub, "org/model", tasks=[SNARKS, IFEVAL], time=EARLY_TIME, as_list=True)
    repository.commit(details_v2("org/model", [SNARKS]))
    options = {"model": "org/model"}
    ingest_hub(warehouse, V2, options=options)
    assert TIME in of(warehouse, SNARKS, "org/model").files[0]
    assert EARLY_TIME in of(warehouse, IFEVAL, "org/model").files[0]
    early = "2024_06_16T22_11_25.600579"
    found = ingest_hub(warehouse, V2, options=options, timestamp=early)
    assert sorted(one.change for one in found.ingested) == ["revised", "unchanged"]
    assert of(warehouse, SNARKS, "org/model").files[0].endswith(f"_{EARLY_TIME}.json")
    found = ingest_hub(warehouse, V2, options=options, timestamp="2025-01")
    assert [one.submission.benchmark for one in found.ingested] == [SNARKS]
    for wrong in ("2023", "20", "soon"):
        with pytest.raises(SourceError, match=rf"choose one of: {EARLY_TIME}, {TIME}"):
            ingest_hub(warehouse, V2, options=options, timestamp=wrong)


def test_an_older_commit_can_be_asked_for(hub: HubServer, warehouse: Warehouse) -> None:
    repository = add_v2(hub, "org/model", tasks=[SNARKS])
    first = repository.head
    repository.commit(details_v2("org/model", [SNARKS], rows=9))
    address = HubAddress("open-llm-leaderboard", "org__model-details", first)
    [one] = ingest_hub(warehouse, address).ingested
    assert (one.submission.revision, one.submission.model) == (first, "org/model")


def test_a_commit_that_leaves_the_files_alone_revises_nothing(
    hub: HubServer, warehouse: Warehouse
) -> None:
    repository = add_v2(hub, "org/model", tasks=[SNARKS])
    first, options = repository.head, {"model": "org/model"}
    assert [one.change for one in ingest_hub(warehouse, V2, options=options).ingested] == ["new"]
    repository.commit({"README.md": b"another card"})
    [one] = ingest_hub(warehouse, V2, options=options).ingested
    assert (one.change, one.submission.revision) == ("unchanged", first)
    second = repository.commit(details_v2("org/model", [SNARKS], rows=9))
    [one] = ingest_hub(warehouse, V2, options=options).ingested
    assert (one.change, one.submission.revision) == ("revised", second)


def test_the_best_models_are_taken_by_their_average(hub: HubServer, warehouse: Warehouse) -> None:
    table = contents(
        [
            ("org/third", 30.0, False),
            ("org/best", 10.0, False),
            ("org/best", 50.0, False),
            ("org/flagged", 90.0, True),
            ("org/second", 40.0, False),
            ("org/unknown", None, False),
            ("org/not a number", float("nan"), False),
            ("../outside", 99.0, False),
        ]
    )
    hub.add("open-llm-leaderboard/contents", {"data/train-00000-of-00001.parquet": table})
    for model in ("org/best", "org/second", "org/third"):
        add_v2(hub, model)
    told: list[str] = []
    found = ingest_hub(warehouse, V2, options={"benchmark": SNARKS}, top=2, on_model=told.append)
    assert told == ["org/best", "org/second"]
    assert [(one.name, one.average, one.submitted) for one in found.best] == [
        ("org/best", 50.0, "2025-01-28"),
        ("org/second", 40.0, "2025-01-28"),
    ]
    assert [one.partition.model for one in found.ingested] == ["org__best", "org__second"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_a_table_of_contents_holds_ends_in_a_ranking_or_one_error(
    hub: HubServer, data: st.DataObject
) -> None:
    columns = {"fullname": ["org/a", "org/b"], "Average ⬆️": [1.0, 2.0], "Flagged": [False, False]}
    for name in data.draw(st.sets(st.sampled_from([*columns, "Submission Date"]))):
        kind = data.draw(st.sampled_from(["gone", *COLUMNS]))
        columns.pop(name, None)
        if kind != "gone":
            columns[name] = [data.draw(COLUMNS[kind]) for _ in range(2)]
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer)
    content = buffer.getvalue()[: data.draw(st.just(None) | st.integers(0, 600))]
    hub.add("open-llm-leaderboard/contents", {"train.parquet": content})
    try:
        best = top_models(Hub(), "open-llm-leaderboard", 5)
    except SourceError:
        return
    assert {one.name for one in best} <= set(columns["fullname"])
    assert all(best[n].average >= best[n + 1].average for n in range(len(best) - 1))


def test_one_model_that_cannot_be_had_does_not_stop_the_others(
    hub: HubServer, warehouse: Warehouse
) -> None:
    table = contents([("org/a", 3.0, False), ("org/b", 2.0, False), ("org/c", 1.0, False)])
    hub.add("open-llm-leaderboard/contents", {"data/train-00000-of-00001.parquet": table})
    add_v2(hub, "org/a", gated=True)
    add_v2(hub, "org/b")
    found = ingest_hub(warehouse, V2, options={"benchmark": SNARKS}, top=3)
    assert [one.partition.model for one in found.ingested] == ["org__b"]
    assert set(found.problems) == {"org/a", "org/c"}
    assert "/datasets/open-llm-leaderboard/org__a-details" in found.problems["org/a"]
    with pytest.raises(HubError, match="none could be ingested"):
        ingest_hub(warehouse, V2, options={"benchmark": "no_such"}, top=2)


def test_a_model_that_is_not_there_is_named_with_similar_ones(
    hub: HubServer, warehouse: Warehouse
) -> None:
    add_v2(hub, "other/model-7b")
    add_v1(hub, "other/model-7b", details_v1([ARC]))
    for leaderboard in (V2, V1):
        with pytest.raises(HubMissingError, match=r"Similar ones there: .*other__model-7b"):
            ingest_hub(warehouse, leaderboard, options={"model": "org/model-7b"})


@pytest.mark.parametrize(
    ("options", "top", "expected"),
    [
        ({}, None, "either --model org/name or --top N"),
        ({"model": "org/model"}, 3, "either --model org/name or --top N"),
        ({}, 0, "at least 1"),
        ({"model": "a/../b"}, None, "a name like org/name"),
    ],
)
def test_which_models_is_asked(
    hub: HubServer, warehouse: Warehouse, options: dict[str, str], top: int | None, expected: str
) -> None:
    with pytest.raises(SourceError, match=expected):
        ingest_hub(warehouse, V2, options=options, top=top)
    assert hub.requests == []


def test_the_first_leaderboard_is_ingested_likewise(hub: HubServer, warehouse: Warehouse) -> None:
    older = "2023-08-18T00:00:43.862234"
    subjects = ("anatomy", "virology")
    mmlu = [f"hendrycksTest-{subject}" for subject in subjects]
    repository = add_v1(
        hub,
        "org/model",
        details_v1([ARC, *mmlu], time=older, layout="columns"),
        details_v1([GSM8K, mmlu[0]]),
    )
    options = {"model": "org/model"}
    found = ingest_hub(warehouse, V1, options=options).ingested
    assert {one.submission.benchmark for one in found} == {"arc_challenge", "gsm8k", "mmlu"}
    assert {one.partition.model for one in found} == {"org__model"}
    submission = of(warehouse, "mmlu", "org/model")
    assert [file.partition(f"@{repository.head}/")[2] for file in submission.files] == [
        details_name(one, time=older) for one in mmlu
    ]
    only = ingest_hub(warehouse, V1, options=options | {"benchmark": "gsm8k"}).ingested
    assert [(one.submission.benchmark, one.change) for one in only] == [("gsm8k", "unchanged")]


@pytest.mark.parametrize("leaderboard", [V2, V1], ids=["v2", "v1"])
def test_options_that_do_not_fit_are_refused_before_anything_is_fetched(
    hub: HubServer, warehouse: Warehouse, leaderboard: HubAddress
) -> None:
    for options, expected in (
        ({"columns": {"score": "x"}}, "has no option columns"),
        ({"threshold": 7.0}, "option threshold is 7.0"),
    ):
        with pytest.raises(SourceError, match=expected):
            ingest_hub(warehouse, leaderboard, options={"model": "org/model"} | options)
    with pytest.raises(SourceError, match="leave --reader out"):
        ingest_hub(warehouse, leaderboard, "table", {"model": "org/model"})
    assert hub.requests == []


def test_without_a_table_of_contents_models_have_to_be_named(
    hub: HubServer, warehouse: Warehouse
) -> None:
    add_v1(hub, "org/model", details_v1([ARC]))
    with pytest.raises(HubMissingError, match=r"open-llm-leaderboard-old/contents.*--model"):
        ingest_hub(warehouse, V1, top=1)


def table_bytes(tmp_path: Path, **options: Any) -> bytes:
    return write_table(tmp_path / "table.csv", **options).read_bytes()


def test_any_dataset_of_result_files_is_ingested(
    hub: HubServer, warehouse: Warehouse, tmp_path: Path
) -> None:
    table = table_bytes(tmp_path)
    files = {"README.md": b"# mine", "weights.safetensors": b"x" * 99, "a/results.csv": table}
    repository = hub.add("me/evals", files | details_v2("org/model", [SNARKS]))
    found = ingest_hub(warehouse, HubAddress("me", "evals"))
    assert {str(one.partition) for one in found.ingested} == {
        "trivia|org__model-a",
        f"{SNARKS}|org__model",
    }
    assert hub.count("safetensors") == 0
    for part in ("a", "a/results.csv"):
        address = HubAddress("me", "evals", repository.head, part)
        [one] = ingest_hub(warehouse, address).ingested
        assert (str(one.partition), one.change) == ("trivia|org__model-a", "unchanged")


def test_real_results_are_the_same_submission_from_the_hub_and_from_the_disk(
    hub: HubServer, warehouse: Warehouse
) -> None:
    folder = REAL_DATA / "lm_eval"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    hub.add(
        "me/evals",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )
    [fetched] = ingest_hub(warehouse, HubAddress("me", "evals")).ingested
    read = [
        row
        for batch in read_submission(with_local_files(fetched.submission))
        for row in batch.responses.to_pylist()
    ]
    [local] = ingest(warehouse, [folder])
    assert (fetched.partition, fetched.change) == (local.partition, "new")
    [samples] = folder.rglob("samples_*.jsonl")
    ids = {json.loads(line)["doc_id"] for line in samples.read_text().splitlines()}
    assert len(read) == len(ids)


def test_columns_of_a_dataset_are_mapped(
    hub: HubServer, warehouse: Warehouse, tmp_path: Path
) -> None:
    table = table_bytes(tmp_path).replace(b"input_text", b"prompt", 1)
    hub.add("me/evals", {"data/train.csv": table})
    options = {"columns": {"input_text": "prompt"}, "benchmark": "mine"}
    [one] = ingest_hub(warehouse, HubAddress("me", "evals"), "table", options).ingested
    assert str(one.partition) == "mine|org__model-a"


def test_shards_of_a_split_are_one_submission(
    hub: HubServer, warehouse: Warehouse, instance: dg.DagsterInstance
) -> None:
    rows = [{"input_text": f"question {n}", "score": n % 2, "model": "org/m"} for n in range(20)]
    repository = hub.add(
        "me/evals",
        {
            f"data/train-0000{shard}-of-00002.parquet": parquet(rows[shard * 10 : shard * 10 + 10])
            for shard in range(2)
        },
    )
    [one] = ingest_hub(warehouse, HubAddress("me", "evals")).ingested
    assert str(one.partition) == "evals|org__m"
    assert [file.rpartition("/")[2] for file in one.submission.files] == [
        f"train-0000{shard}-of-00002.parquet" for shard in range(2)
    ]
    shutil.rmtree(constants.HF_ASSETS_CACHE)
    add_partitions(instance, [one.partition])
    done = dg.materialize(
        [raw_results],
        partition_key=partition_key(one.partition),
        resources={"warehouse": WarehouseResource(root=warehouse.storage.root)},
        instance=instance,
    )
    assert done.success
    read = warehouse.read(RESPONSES, one.partition).to_pylist()
    assert {row["source"] for row in read} == set(one.submission.files)
    assert {row["revision"] for row in read} == {repository.head}
    assert len(read) == 20


def test_battles_come_from_the_hub_too(
    hub: HubServer, warehouse: Warehouse, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    rows = [mt_bench_row(), mt_bench_row(82), mt_bench_row(83, winner="nobody")]
    judgments = write_lmsys(tmp_path / "human.jsonl", rows).read_bytes()
    repository = hub.add("lmsys/mt_bench_human_judgments", {"data/human.jsonl": judgments})
    address = HubAddress("lmsys", "mt_bench_human_judgments")
    [one] = ingest_hub(warehouse, address).ingested
    assert (str(one.partition), one.change) == ("mt_bench_human_judgments", "new")
    shutil.rmtree(constants.HF_ASSETS_CACHE)
    add_partitions(instance, [one.partition])
    done = dg.materialize(
        [battles],
        partition_key=str(one.partition),
        resources={"warehouse": WarehouseResource(root=warehouse.storage.root)},
        instance=instance,
    )
    assert done.success
    source = f"hf://datasets/lmsys/mt_bench_human_judgments@{repository.head}/data/human.jsonl"
    for table, count in ((BATTLES, 2), (BATTLE_REJECTS, 1)):
        assert warehouse.read(table, one.partition)["source"].to_pylist() == [source] * count


def test_a_dataset_without_results_says_what_it_holds(
    hub: HubServer, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("me/evals", {"README.md": b"# mine", "weights.bin": b"x"})
    with pytest.raises(SourceError, match=r"no files that could be results.*weights\.bin"):
        ingest_hub(warehouse, HubAddress("me", "evals"))
    hub.add("me/large", {"a.csv": b"x" * 2_000})
    monkeypatch.setattr("errclust_pipeline.hub.dataset_files.MAX_BYTES", 1_000)
    with pytest.raises(SourceError, match=r"name a folder or file in it, e\.g\. hf:me/large/a"):
        ingest_hub(warehouse, HubAddress("me", "large"))
    with pytest.raises(SourceError, match=r"name a dataset of it, hf:me/dataset"):
        ingest_hub(warehouse, HubAddress("me"))
    with pytest.raises(SourceError, match=r"--top is for hf:open-llm-leaderboard and"):
        ingest_hub(warehouse, HubAddress("me", "evals"), top=3)


def test_samples_beside_nothing_that_names_the_model_need_its_name(
    hub: HubServer, warehouse: Warehouse
) -> None:
    samples = details_v2("org/model", [SNARKS])[f"org__model/samples_{SNARKS}_{TIME}.jsonl"]
    hub.add("me/evals", {f"samples_{SNARKS}_{TIME}.jsonl": samples})
    with pytest.raises(SourceError, match="--model"):
        ingest_hub(warehouse, HubAddress("me", "evals"))
    [one] = ingest_hub(warehouse, HubAddress("me", "evals"), options={"model": "my/own"}).ingested
    assert one.submission.model == "my/own"


def test_a_copy_below_the_root_keeps_the_commit(hub: HubServer, warehouse: Warehouse) -> None:
    repository = add_v2(hub, "org/model", tasks=[SNARKS])
    ingest_hub(warehouse, V2, options={"model": "org/model"}, copy=True)
    submission = of(warehouse, SNARKS, "org/model")
    assert submission.revision == repository.head
    assert Path(submission.files[0]).is_relative_to(warehouse.storage.root)


def test_results_are_read_again_from_the_record_after_the_cache_was_cleared(
    hub: HubServer, warehouse: Warehouse, instance: dg.DagsterInstance
) -> None:
    repository = add_v2(hub, "org/model", tasks=[SNARKS])
    add_v1(hub, "org/model", details_v1(["hendrycksTest-anatomy", "hendrycksTest-virology"]))
    for leaderboard in (V2, V1):
        ingest_hub(warehouse, leaderboard, options={"model": "org/model"})
    shutil.rmtree(constants.HF_ASSETS_CACHE)
    add_partitions(instance, warehouse.submissions())
    for partition in warehouse.submissions():
        done = dg.materialize(
            [raw_results],
            partition_key=partition_key(partition),
            resources={"warehouse": WarehouseResource(root=warehouse.storage.root)},
            instance=instance,
        )
        assert done.success
    rows = warehouse.read(RESPONSES, SubmissionPartition(SNARKS, "org__model")).to_pylist()
    assert len(rows) == 6
    assert {row["revision"] for row in rows} == {repository.head}
    assert {row["source"] for row in rows} == set(of(warehouse, SNARKS, "org/model").files)
    mmlu = warehouse.read(RESPONSES, SubmissionPartition("mmlu", "org__model")).to_pylist()
    assert {row["source"] for row in mmlu} == set(of(warehouse, "mmlu", "org/model").files)
    assert len(mmlu) == 12


@pytest.mark.parametrize("rows", [6, 5])
def test_what_was_read_is_compared_with_what_the_leaderboard_published(
    hub: HubServer, warehouse: Warehouse, instance: dg.DagsterInstance, rows: int
) -> None:
    files = details_v2("org/model", [SNARKS])
    samples = f"org__model/samples_{SNARKS}_{TIME}.jsonl"
    files[samples] = b"".join(files[samples].splitlines(keepends=True)[:rows])
    hub.add("open-llm-leaderboard/org__model-details", files)
    [one] = ingest_hub(warehouse, V2, options={"model": "org/model"}).ingested
    assert one.submission.options["published"] == {"score": 2 / 6, "rows": 6}
    add_partitions(instance, [one.partition])
    done = dg.materialize(
        [raw_results],
        partition_key=partition_key(one.partition),
        resources={"warehouse": WarehouseResource(root=warehouse.storage.root)},
        instance=instance,
    )
    warnings = [
        entry.user_message
        for entry in instance.all_logs(done.run_id)
        if "published" in entry.user_message
    ]
    if rows == 6:
        assert warnings == []
    else:
        [warning] = warnings
        assert "5 rows score 0.4000" in warning
        assert "published 0.3333 of 6 rows" in warning


def errclust(
    hub: HubServer, tmp_path: Path, *arguments: str, token: str | None = None
) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, whose client asks this hub."""
    return subprocess.Popen(
        [sys.executable, "-m", "errclust_pipeline.cli", *arguments],
        env={
            **os.environ,
            **hub_environment(hub, tmp_path / "home", token),
            "ERRCLUST_ROOT": str(tmp_path / "root"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a command; return its exit code and what it wrote."""
    output, errors = process.communicate(timeout=240)
    return process.returncode, output, errors


@pytest.mark.slow
def test_the_command_line_ingests_from_the_hub_and_runs(root: Path, tmp_path: Path) -> None:
    with hub_server() as hub:
        hub.tokens = {"hf_member"}
        add_v2(hub, "org/model", gated=True).members = {"hf_member"}
        arguments = ("ingest", "hf:open-llm-leaderboard", "-m", "org/model", "-b", "bbh_snarks")
        code, _, errors = finished(errclust(hub, tmp_path, *arguments))
        assert code == 2
        assert f"{hub.url}/datasets/open-llm-leaderboard/org__model-details" in errors
        assert "Traceback" not in errors
        code, output, errors = finished(
            errclust(hub, tmp_path, *arguments, "--json", token="hf_member")
        )
        assert code == 0, errors
        [row] = json.loads(output)
        assert (row["benchmark"], row["model"], row["change"]) == (SNARKS, "org__model", "new")
        assert "hf_member" not in output + errors
        # A machine that has nothing of it reads it all the same.
        shutil.rmtree(tmp_path / "home" / "assets")
        code, _, errors = finished(errclust(hub, tmp_path, "run", token="hf_member"))
        assert code == 0, errors
    rows = Warehouse(str(root)).read(RESPONSES, SubmissionPartition(SNARKS, "org__model"))
    assert rows.num_rows == 6


@pytest.mark.slow
def test_a_download_that_was_killed_goes_on_where_it_was(root: Path, tmp_path: Path) -> None:
    arguments = ("ingest", "hf:open-llm-leaderboard", "-m", "org/model", "--json")
    with hub_server() as hub:
        add_v2(hub, "org/model", rows=500)
        hub.slow_down(f"samples_{IFEVAL}", seconds=60)
        process = errclust(hub, tmp_path, *arguments)
        kept = tmp_path / "home" / "assets"

        def whole() -> set[str]:
            return {path.name for path in kept.rglob("*_*_*.json*") if ".cache" not in path.parts}

        others = {f"samples_{task}_{TIME}.jsonl" for task in SOME if task != IFEVAL}
        deadline = time.monotonic() + 60
        while not others <= whole() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.kill()
        process.communicate()
        assert others <= whole()
        assert f"samples_{IFEVAL}_{TIME}.jsonl" not in whole()
        assert Warehouse(str(root)).submissions() == []
        before = hub.count("GET /datasets/open-llm-leaderboard/org__model-details/resolve")
        code, output, errors = finished(errclust(hub, tmp_path, *arguments))
        assert code == 0, errors
        assert len(json.loads(output)) == len(SOME)
        after = hub.count("GET /datasets/open-llm-leaderboard/org__model-details/resolve")
        assert after - before <= 2  # The file that was cut off, and at most the results.


@pytest.mark.slow
@pytest.mark.usefixtures("root")
def test_the_command_line_says_what_does_not_fit(tmp_path: Path) -> None:
    table = write_table(tmp_path / "results.csv")
    with hub_server() as hub:
        for arguments, expected in (
            ((str(table), "--top", "3"), "--top is for what comes from the hub"),
            (("hf:open-llm-leaderboard",), "either --model org/name or --top N"),
            (("hf:models/org/name",), "hf:owner/dataset"),
            (("hf:me/nothing",), "there is no dataset"),
        ):
            code, _, errors = finished(errclust(hub, tmp_path, "ingest", *arguments))
            assert (code, expected in errors) == (2, True), errors
