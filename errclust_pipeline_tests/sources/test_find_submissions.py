import json
from pathlib import Path

import pytest

from errclust_pipeline.sources import (
    READERS,
    SourceError,
    Submission,
    find_submissions,
    read_submission,
)
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.sources.formats import test_inspect_ai, test_lm_eval, test_mmlu_pro
from errclust_pipeline_tests.sources.reading import Read


def test_a_folder_of_several_formats_gives_all_its_submissions(tmp_path: Path) -> None:
    test_lm_eval.samples(tmp_path / "org__m", "task", [test_lm_eval.generated(1)])
    test_mmlu_pro.write(tmp_path, [test_mmlu_pro.row(1)])
    write_table(tmp_path / "results.csv", models=["a", "b"])
    test_inspect_ai.write_json(tmp_path / "log.json", [test_inspect_ai.sample(1)])
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    found = find_submissions(tmp_path)
    assert [one.reader for one in found] == ["lm_eval", "inspect", "mmlu_pro", "table", "table"]
    assert all(Read(one).rows for one in found)
    assert len(find_submissions(tmp_path, reader="table")) == 2


def test_two_files_of_the_same_model_and_benchmark_are_an_error(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        write_table(tmp_path / name)
    with pytest.raises(SourceError, match=r"one\.csv and .*two\.csv both hold"):
        find_submissions(tmp_path)


def test_an_unknown_file_is_met_with_what_each_reader_expects(tmp_path: Path) -> None:
    for name, content in (("a.txt", "x"), ("b.json", "{}"), ("c.jsonl", '{"a": 1}\n')):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(SourceError) as error:
            find_submissions(path)
        assert name in str(error.value)
        assert all(f"{reader}:" in str(error.value) for reader in ("lm_eval", "inspect"))
    with pytest.raises(SourceError, match=r"a\.txt, b\.json, c\.jsonl"):
        find_submissions(tmp_path)


def test_a_path_or_reader_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        find_submissions(tmp_path / "nothing")
    with pytest.raises(SourceError, match="there are: lm_eval, "):
        find_submissions(tmp_path, reader="csv")
    with pytest.raises(SourceError, match="no reader 'csv'"):
        read_submission(Submission("b", "m", "csv", ("f",), "r"))


def test_links_out_of_a_folder_are_not_followed_and_this_is_said(tmp_path: Path) -> None:
    outside = write_table(tmp_path / "secret.csv")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.csv").symlink_to(outside)
    (folder / "parent").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder)
    with pytest.raises(SourceError, match="2 links lead out of it and were not followed"):
        find_submissions(folder)
    inside = write_table(folder / "data.csv", benchmark="b")
    assert [one.files for one in find_submissions(folder)] == [(str(inside),)]


def test_a_submission_restored_from_its_record_reads_the_same(tmp_path: Path) -> None:
    test_lm_eval.samples(tmp_path / "org__m", "task", [test_lm_eval.generated(1)])
    test_mmlu_pro.write(tmp_path, [test_mmlu_pro.row(1)])
    test_inspect_ai.write_eval(tmp_path / "log.eval", [test_inspect_ai.sample(1)])
    write_table(tmp_path / "results.csv", models=["a|b/ü" + "x" * 300])
    for one in find_submissions(tmp_path):
        assert Read(Submission.from_json(one.to_json())).rows == Read(one).rows


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_gone_is_named(tmp_path: Path, name: str) -> None:
    options = {
        "owner": ["b", "m"],
        "columns": {"input_text": "input_text", "score": "score"},
        "defaults": ["b", "m"],
        "dataset": "d",
    }
    for ending in ("zip", "csv", "jsonl", "parquet", "eval"):
        gone = tmp_path / f"gone.{ending}"
        with pytest.raises(SourceError, match=r"gone\."):
            list(read_submission(Submission("b", "m", name, (str(gone),) * 2, "r", options)))


def test_batches_are_no_larger_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"input_text": f"q{n}", "score": "x" if n % 3 else 1} for n in range(50)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    [submission] = find_submissions(path, options={"model": "m"})
    sizes = [
        batch.responses.num_rows + batch.rejects.num_rows
        for batch in read_submission(submission, batch_rows=8)
    ]
    assert sizes == [8, 8, 8, 8, 8, 8, 2]
