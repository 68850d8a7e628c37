from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from errclust_pipeline.demo import DemoLeaderboard, describe_models, write_demo_leaderboard
from errclust_pipeline.demo.bugs import BUG_DESCRIPTIONS, SLIP, Bug
from errclust_pipeline.demo.leaderboard import TIMESTAMP
from errclust_pipeline.demo.models import LONGEST_WORKING, MODELS

SUBMISSIONS_SHA256 = "854ad837e1f9c85c17650d81270b28aa6e75d551d6da6bba627abf771b860499"
GROUND_TRUTH_SHA256 = "8c3e2d43c88a86a4a69e184b9a5f1e47349d10f829f74f8dad2b40132e703f2c"


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory: pytest.TempPathFactory) -> DemoLeaderboard:
    return write_demo_leaderboard(tmp_path_factory.mktemp("demo") / "leaderboard")


@pytest.fixture(scope="module")
def truth(leaderboard: DemoLeaderboard) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(leaderboard.ground_truth).to_pylist()
    return rows


@pytest.fixture(scope="module")
def samples(leaderboard: DemoLeaderboard) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found = {}
    for path in sorted(leaderboard.submissions.glob("*/samples_*.jsonl")):
        benchmark = path.name.removeprefix("samples_").removesuffix(f"_{TIMESTAMP}.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines()
        found[path.parent.name.replace("__", "/"), benchmark] = [json.loads(line) for line in lines]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_same_seed_same_bytes_and_old_leaderboard_is_replaced(
    leaderboard: DemoLeaderboard, tmp_path: Path
) -> None:
    folder = tmp_path / "board"
    write_demo_leaderboard(folder, random_state=1)
    other = contents(folder)
    write_demo_leaderboard(folder)
    assert contents(folder) == contents(leaderboard.folder) != other
    assert [path.name for path in tmp_path.iterdir()] == ["board"]


def test_the_files_are_those_of_every_version_so_far(
    leaderboard: DemoLeaderboard, truth: list[dict[str, Any]]
) -> None:
    # Figures in the documentation and the benchmarks are measured on these files.
    written = hashlib.sha256()
    for name, content in sorted(contents(leaderboard.submissions).items()):
        written.update(name.encode() + content)
    assert written.hexdigest() == SUBMISSIONS_SHA256
    # The bytes of Parquet depend on its library's version: only the rows are compared.
    assert sha256(json.dumps(truth)) == GROUND_TRUTH_SHA256


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        write_demo_leaderboard(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_demo_leaderboard(tmp_path / "board")
    assert not list(tmp_path.iterdir())


def test_ground_truth_has_one_row_for_each_response(
    leaderboard: DemoLeaderboard,
    truth: list[dict[str, Any]],
    samples: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    keys = [(row["model"], row["benchmark"], row["doc_id"]) for row in truth]
    assert len(set(keys)) == len(keys) == len(MODELS) * sum(leaderboard.questions.values())
    assert set(keys) == {(*key, row["doc_id"]) for key, rows in samples.items() for row in rows}
    assert all((row["bug"] is None) == row["correct"] for row in truth)


def test_scores_agree_with_ground_truth_under_every_filter(
    truth: list[dict[str, Any]], samples: dict[tuple[str, str], list[dict[str, Any]]]
) -> None:
    correct = {(row["model"], row["benchmark"], row["doc_id"]): row["correct"] for row in truth}
    for key, rows in samples.items():
        for row in rows:
            assert (row["exact_match"] == 1.0) == correct[(*key, row["doc_id"])], row


def test_rows_are_in_the_form_of_the_harness(
    samples: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    assert len(samples) == 2 * len(MODELS)
    for (_, benchmark), rows in samples.items():
        filters = ["none"] if benchmark == "demo_language" else ["strict-match", "flexible-extract"]
        assert list(dict.fromkeys(row["filter"] for row in rows)) == filters
        count = len(rows) // len(filters)
        assert [row["doc_id"] for row in rows] == list(range(count)) * len(filters)
        for row in rows:
            assert list(row) == [
                "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter",
                "metrics", "doc_hash", "prompt_hash", "target_hash", "exact_match",
            ]  # fmt: skip
            assert row["doc_hash"] == sha256(json.dumps(row["doc"], indent=2, ensure_ascii=False))
            assert row["prompt_hash"] == sha256(row["arguments"]["gen_args_0"]["arg_0"])
            assert row["target_hash"] == sha256(row["target"])
            assert row["exact_match"] == float(row["filtered_resps"] == [row["target"]])


def test_results_files_agree_with_the_samples(
    leaderboard: DemoLeaderboard, samples: dict[tuple[str, str], list[dict[str, Any]]]
) -> None:
    for (model, benchmark), rows in samples.items():
        folder = leaderboard.submissions / model.replace("/", "__")
        results = json.loads((folder / f"results_{TIMESTAMP}.json").read_text(encoding="utf-8"))
        assert results["model_name"] == model
        for name in dict.fromkeys(row["filter"] for row in rows):
            scores = [row["exact_match"] for row in rows if row["filter"] == name]
            mean = results["results"][benchmark][f"exact_match,{name}"]
            assert mean == pytest.approx(sum(scores) / len(scores))
            assert results["n-samples"][benchmark]["effective"] == len(scores)


def test_accuracies_differ_and_slips_are_rare(
    leaderboard: DemoLeaderboard, truth: list[dict[str, Any]]
) -> None:
    total = sum(leaderboard.questions.values())
    accuracies = [1 - errors / total for errors in leaderboard.errors.values()]
    assert all(0.55 < accuracy < 0.85 for accuracy in accuracies)
    assert max(accuracies) - min(accuracies) > 0.15
    slips = Counter(row["model"] for row in truth if row["bug"] == SLIP)
    assert all(0.01 < slips[model.name] / total < 0.035 for model in MODELS)
    assert dict(slips) == dict(leaderboard.slips)


@pytest.mark.parametrize(
    ("model", "bug"), [(model.name, bug) for model in MODELS for bug in model.bugs]
)
def test_bug_causes_errors_where_it_is_documented(
    model: str, bug: Bug, truth: list[dict[str, Any]]
) -> None:
    kinds = Counter(row["kind"] for row in truth if row["model"] == model and row["bug"] == bug)
    assert kinds.total() >= 15
    assert set(kinds) <= set(BUG_DESCRIPTIONS[bug].kinds)


def test_misbehaviour_shows_in_the_responses(
    truth: list[dict[str, Any]], samples: dict[tuple[str, str], list[dict[str, Any]]]
) -> None:
    text = {
        (*key, row["doc_id"]): row["resps"][0][0] for key, rows in samples.items() for row in rows
    }
    for row in truth:
        response = text[row["model"], row["benchmark"], row["doc_id"]]
        match row["bug"]:
            case Bug.EMPTY_RESPONSE:
                assert response == ""
            case Bug.CUT_OFF:
                assert LONGEST_WORKING - 5 < len(response) <= LONGEST_WORKING
                assert response[-1] not in ".!?"
                assert "The answer is" not in response
            case Bug.LINE_LOOP:
                assert Counter(response.splitlines()).most_common(1)[0][1] >= 20
            case Bug.REFUSES_MEDICINE | Bug.REFUSES_HAZARDS | Bug.NO_FINAL_ANSWER:
                assert "The answer is" not in response
            case _:
                assert response.count("The answer is") == 1


def test_no_text_gives_a_bug_away(
    samples: dict[tuple[str, str], list[dict[str, Any]]],
) -> None:
    names = [form for bug in Bug for form in (bug.value, bug.value.replace("_", " "))]
    for rows in samples.values():
        for row in rows:
            text = f"{row['doc']['question']}\n{row['resps'][0][0]}".lower()
            assert not any(name in text for name in names)
            assert "bug" not in row["doc"]


def test_models_are_described() -> None:
    described = describe_models()
    assert list(described) == [model.name for model in MODELS]
    for notes in described.values():
        assert 6 <= len(notes) <= 8
        assert all(note.does and note.where for note in notes)
