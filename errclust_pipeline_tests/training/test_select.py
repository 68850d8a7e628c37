"""`errclust select`, from a run to files that `datasets` loads."""

import csv
import json
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from errclust_pipeline.analysis.selection import in_development, label_error_reason
from errclust_pipeline.cli.app import app
from errclust_pipeline.cli.common import BAD_INPUT
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.tables import (
    ERRORS,
    QUESTIONS,
    RESPONSES,
    SUSPECTED_FAULTS,
    TRAINING_CANDIDATES,
)
from errclust_pipeline.views.demand import read_selection_inputs
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import quick_root
from errclust_pipeline_tests.helpers.leaderboards import parquet
from errclust_pipeline_tests.helpers.result_files import TOPICS, questions, write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

C = SubmissionPartition("trivia", "org__model-c")
PHASES = ("label_error_clusters", "map_questions", "find_hot_spots", "select_candidates")


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    """A root whose model C is weak in chess only."""
    folder = tmp_path_factory.mktemp("select")
    warehouse = Warehouse(str(quick_root(folder / "root")))
    models = ["org/model-a", "org/model-b", "org/model-c"]
    results = write_table(
        folder / "results.csv", models, per_topic=40, weak_in={"org/model-c": "chess"}
    )
    ingest(warehouse, [results])
    assert failures_of(run_phases(warehouse, *PHASES)) == []
    return warehouse


@pytest.fixture
def pool(tmp_path):
    """New questions on all topics, and three that the benchmark has itself."""
    path = tmp_path / "pool.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ask", "reply", "topic"])
        for topic, template in TOPICS.items():
            for number in range(500, 525):
                writer.writerow([template.format(n=number), f"answer {number}", topic])
        for topic, question in questions(40)[:3]:
            writer.writerow([question, "leaked", topic])
        writer.writerow(["", "nothing asked", "none"])
    return path


def errclust(warehouse, *arguments, command=("select", "trivia")):
    environment = {"ERRCLUST_ROOT": warehouse.storage.url, "COLUMNS": "200"}
    return CliRunner().invoke(app, [*command, *arguments], env=environment)


def test_the_table_names_errors_of_the_development_split_where_the_model_is_weak(selected):
    picks = selected.read(TRAINING_CANDIDATES, C).to_pandas()
    wrong = set(selected.read(ERRORS, C)["question_id"].to_pylist())
    assert set(picks["question_id"]) <= wrong
    assert in_development(picks["question_id"].tolist()).all()
    assert picks["question"].iloc[0].startswith("In chess opening")
    assert picks["coverage"].is_monotonic_increasing
    assert picks["gain"].is_monotonic_decreasing
    assert picks["reason"].iloc[1:].str.contains("errors? better than the picks before").all()
    # Two models agree by a text of their own; three models accuse nobody.
    assert selected.count(SUSPECTED_FAULTS, C) == 0


def test_from_a_pool_it_picks_what_the_model_lacks_and_refuses_the_benchmark(
    selected, pool, tmp_path
):
    out = tmp_path / "out"
    done = errclust(
        selected, "org/model-c", "--pool", str(pool), "--column", "instruction=ask",
        "--column", "answer=reply", "--budget", "8", "--out", str(out),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for told in ("this selection", "random in the benchmark's distribution", "random candidates",
                 "3 refused: same text", "1 no instruction", "Suggested budget"):  # fmt: skip
        assert told in done.output, told

    chat = load_dataset(str(out), "chat", split="train", cache_dir=str(tmp_path / "cache"))
    asked = [row["messages"][0]["content"] for row in chat]
    assert "chess" in asked[0]
    # More than their share of the pool; it errs in the other three topics too, and once an error of
    # a topic is covered, others of the same wording nearly are.
    assert sum("chess" in one for one in asked) > len(asked) / 4
    assert [one["role"] for one in chat[0]["messages"]] == ["user", "assistant"]
    assert chat[0]["messages"][1]["content"].startswith("answer 5")
    assert "leaked" not in {row["messages"][1]["content"] for row in chat}
    instruction = load_dataset(str(out), "instruction", split="train", cache_dir=str(tmp_path))
    assert instruction["instruction"] == [row["messages"][0]["content"] for row in chat]
    picks = load_dataset(str(out), "picks", split="train", cache_dir=str(tmp_path / "cache"))
    assert picks["rank"] == list(range(1, len(chat) + 1))
    lines = [json.loads(line) for line in (out / "chat" / "train.jsonl").open()]
    assert lines == pq.read_table(out / "chat" / "train.parquet").to_pylist()

    card = (out / "README.md").read_text()
    assert "license: unknown" in card
    assert "errclust " in card
    assert "3 refused: same text" in card
    with (out / "held_out_questions.csv").open(newline="") as file:
        held_out = {row["question_id"]: row["example_id"] for row in csv.DictReader(file)}
    everything = selected.read(QUESTIONS, BenchmarkPartition("trivia"))["question_id"].to_pylist()
    assert not in_development(list(held_out)).any()
    own = selected.read(RESPONSES, C).to_pylist()
    assert held_out.items() <= {row["question_id"]: row["example_id"] for row in own}.items()
    assert len(held_out) == (~in_development(everything)).sum()


def test_the_card_says_how_to_measure_the_gain_and_that_works(
    selected, pool, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    arguments = ("--pool", str(pool), "--column", "instruction=ask", "--column", "answer=reply")
    assert errclust(selected, "org/model-c", *arguments, "--out", str(out)).exit_code == 0
    card = (out / "README.md").read_text().splitlines()
    (command,) = (line for line in card if line.startswith("    errclust sql"))
    monkeypatch.chdir(out)
    done = errclust(selected, "--json", command=shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    held_out = len((out / "held_out_questions.csv").read_text().splitlines()) - 1
    rows = json.loads(done.stdout)
    assert {row["model"] for row in rows} == {f"org__model-{name}" for name in "abc"}
    assert {row["questions"] for row in rows} == {held_out}


def test_the_budget_is_that_of_the_settings_unless_it_is_given(selected, pool):
    settings = Path(selected.storage.url) / "errclust.toml"
    before = settings.read_text()
    arguments = ("--pool", str(pool), "--column", "instruction=ask", "--column", "answer=reply")
    settings.write_text(before + "\n[selection]\nbudget = 3\n")
    try:
        done = errclust(selected, "org/model-c", *arguments)
    finally:
        settings.write_text(before)
    assert "3 picks for" in done.output
    assert "the example nearest to an error has a cosine similarity of" in done.output


def suspect(question, probability, agreeing):
    told = {"likelihood_ratio": 10 * probability, "agreeing": agreeing, "wrong": 8, "answered": 8}
    return {
        "question_id": question, "probability": probability, "gold": "41", "other_answer": "42",
        "reason": label_error_reason(**told), **told,
    }  # fmt: skip


def test_suspected_faults_of_all_models_are_listed_once_each_most_suspect_first(
    warehouse, tmp_path
):
    models = ["org/model-a", "org/model-b"]
    ingest(warehouse, [write_table(tmp_path / "results.csv", models, per_topic=3)])
    none = errclust(warehouse, command=("faults", "trivia"))
    assert none.exit_code == BAD_INPUT
    assert "errclust run" in none.output

    def write(table, model, rows):
        rows = pa.Table.from_pylist(rows, schema=table.schema)
        made_from = Provenance("test", "1", "1")
        warehouse.write(table, SubmissionPartition("trivia", model), rows, made_from)

    asked = {name: f"What is {name}? \x1b[31m" for name in ("q1", "q2", "q3")}
    write(QUESTIONS, "", [
        {"question_id": name, "question": text, "text": text, "text_id": name}
        for name, text in asked.items()
    ])  # fmt: skip
    write(SUSPECTED_FAULTS, "org__model-a", [suspect("q1", 0.6, 5), suspect("q2", 0.9, 8)])
    write(SUSPECTED_FAULTS, "org__model-b", [suspect("q1", 0.7, 5), suspect("q3", 0.5, 4)])
    shown = errclust(warehouse, "--limit", "2", command=("faults", "trivia")).output
    assert "3 questions whose key is suspected" in shown
    assert "1 more" in shown
    assert shown.index("90%") < shown.index("70%")
    assert "\x1b[31m" not in shown
    found = json.loads(errclust(warehouse, "--json", command=("faults", "trivia")).stdout)
    assert [row["question_id"] for row in found] == ["q2", "q1", "q3"]
    assert [row["probability"] for row in found] == [0.9, 0.7, 0.5]
    assert found[0]["question"] == asked["q2"]
    assert "8 of 8 models agree on another answer" in found[0]["reason"]


def hub_pool(*splits, instruction="problem", answer="solution"):
    """The files of a dataset on the hub, of new questions on all topics."""
    rows = [
        {instruction: template.format(n=number), answer: str(number)}
        for number in range(500, 510)
        for template in TOPICS.values()
    ]
    return {
        "README.md": b"---\nlicense: mit\n---\n",
        **{f"data/{split}-00000-of-00001.parquet": parquet(rows) for split in splits},
    }


def test_a_pool_of_the_hub_is_fetched_and_its_card_names_the_commit(selected, hub, tmp_path):
    repository = hub.add("org/worked", hub_pool("test", "train"))
    out = tmp_path / "out"
    arguments = ("--pool", "hf:org/worked", "--budget", "4", "--out", str(out))
    undecided = errclust(selected, "org/model-c", *arguments)
    assert undecided.exit_code == BAD_INPUT
    assert "has the splits test, train: choose one with --split" in undecided.output
    done = errclust(selected, "org/model-c", *arguments, "--split", "train")
    assert done.exit_code == 0, done.output
    assert "instruction from problem, answer from solution" in done.output
    chat = [json.loads(line) for line in (out / "chat" / "train.jsonl").open()]
    assert len(chat) == 4
    assert all(row["id"].startswith("data/train-00000-of-00001.parquet:") for row in chat)
    card = (out / "README.md").read_text()
    assert f"hf://datasets/org/worked@{repository.head}" in card
    assert "license: mit" not in card


@pytest.mark.parametrize(
    ("files", "gated", "arguments", "messages"),
    [
        (hub_pool('train'), False, ("--column", "answer=reply"),
         ("hf:org/worked", "no column 'reply'", "it has problem, solution", "--column answer=")),
        (hub_pool('train', instruction='ask', answer='told'), False, (),
         ("no column that is usual for the instruction",)),
        (hub_pool('train'), True, (), ("org/worked is gated: accept its terms on", "HF_TOKEN")),
        (hub_pool(), False, (), ("org/worked", "no files that could be training examples")),
    ],
)  # fmt: skip
def test_a_pool_of_the_hub_that_cannot_be_used_is_told(
    selected, hub, files, gated, arguments, messages
):
    hub.add("org/worked", files, gated=gated)
    done = errclust(selected, "org/model-c", "--pool", "hf:org/worked", *arguments)
    assert done.exit_code == BAD_INPUT
    for message in messages:
        assert message in " ".join(done.output.split()), (message, done.output)


def test_without_a_pool_it_says_what_to_write_with_exemplars_of_the_development_split(
    selected, tmp_path
):
    out = tmp_path / "out"
    done = errclust(selected, "org/model-c", "--budget", "12", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "what to write" in done.output
    specifications = [json.loads(line) for line in (out / "target_specifications.jsonl").open()]
    assert sum(row["examples"] for row in specifications) == 12
    exemplars = [one for row in specifications for one in row["exemplars"]]
    assert in_development([one["question_id"] for one in exemplars]).all()
    assert "chess" in specifications[0]["exemplars"][0]["question"]
    assert not (out / "chat").exists()
    loaded = load_dataset(str(out), "specifications", split="train", cache_dir=str(tmp_path))
    assert loaded["examples"] == [row["examples"] for row in specifications]


def test_json_holds_the_picks_and_the_baselines(selected, pool):
    arguments = ("--pool", str(pool), "--column", "instruction=ask", "--column", "answer=reply")
    done = errclust(selected, "org/model-c", *arguments, "--budget", "4", "--json")
    found = json.loads(done.stdout)
    assert len(found["picks"]) == 4
    assert len(found["coverage"]) == 5
    assert found["refused"] == {"same text": 3}
    again = errclust(selected, "org/model-c", *arguments, "--budget", "4", "--json")
    assert json.loads(again.stdout)["picks"] == found["picks"]


def test_a_second_export_replaces_the_first_and_nothing_else_is_touched(selected, tmp_path):
    out = tmp_path / "out"
    for budget in ("3", "5"):
        done = errclust(selected, "org/model-c", "--budget", budget, "--out", str(out))
        assert done.exit_code == 0, done.output
    assert pq.read_metadata(out / "picks.parquet").num_rows == 5
    (out / "notes.txt").write_text("mine")
    done = errclust(selected, "org/model-c", "--out", str(out))
    assert done.exit_code == BAD_INPUT
    assert "notes.txt" in done.output
    assert (out / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pool", "nowhere.csv"), "does not exist"),
        (("--column", "instruction=x"), "--pool"),
        (("--pool", "x.csv", "--column", "x"), "WHAT=COLUMN"),
    ],
)
def test_wrong_usage_is_told(selected, arguments, message):
    done = errclust(selected, "org/model-c", *arguments)
    assert done.exit_code == BAD_INPUT
    assert message in done.output


def test_a_selection_reads_each_table_of_the_model_once(selected, monkeypatch):
    read = Warehouse.read
    tables_read = []

    def counted(store, table, partition, *arguments, **options):
        if partition == C:
            tables_read.append(table.name)
        return read(store, table, partition, *arguments, **options)

    monkeypatch.setattr(Warehouse, "read", counted)
    inputs = read_selection_inputs(selected, C, without_artefacts=False)
    assert sorted(tables_read) == ["errors", "hot_spots", "responses"]
    assert inputs.evidence.correct.shape == (3, len(inputs.questions))
    asked = selected.read(RESPONSES, C).to_pylist()
    assert inputs.example_ids == {row["question_id"]: row["example_id"] for row in asked}
    wrong = {row["question_id"] for row in asked if not row["correct"]}
    on_map = inputs.evidence.questions.question_ids
    errors = inputs.evidence.errors.tolist()
    assert {name for name, error in zip(on_map, errors, strict=True) if error} == wrong
