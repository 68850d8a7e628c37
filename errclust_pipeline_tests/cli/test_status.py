"""What is up to date, and why the rest is not."""

import shutil

from errclust_pipeline.cli.common import BAD_INPUT
from errclust_pipeline_tests.helpers.command_line import errclust_at
from errclust_pipeline_tests.helpers.result_files import write_table


def test_status_tells_of_withdrawn_submissions_and_unusable_files(errclust, warehouse, root):
    from errclust_pipeline.ingestion import DropFolder

    (root / "drop").mkdir()
    write_table(root / "drop" / "a.csv")
    write_table(root / "drop" / "b.csv")
    (root / "drop" / "odd.csv").write_text("one,two\n1,2\n")
    folder, look = DropFolder(warehouse, str(root / "drop")), 0
    for _ in range(2):
        look = folder.scan(look).scan
    shown = errclust("status").stdout
    assert "odd.csv in drop is not used" in shown
    assert "b.csv in drop is not used: a.csv has the results" in shown
    for name in ("a.csv", "b.csv"):
        (root / "drop" / name).unlink()
    for _ in range(3):
        look = folder.scan(look).scan
    assert "trivia|org__model-a: withdrawn" in errclust("status").stdout


def test_status_says_why_something_is_not_fresh(finished_root, tmp_path):
    root = shutil.copytree(finished_root, tmp_path / "copy")
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text() + "seed = 3\n")
    shown = errclust_at(root)("status").stdout
    assert "error_clusters is stale (setting seed changed)" in shown


def test_a_broken_settings_file_is_named(errclust, root):
    (root / "errclust.toml").write_text("[errors]\ntexts = 1\n")
    done = errclust("status")
    assert done.exit_code == BAD_INPUT
    assert "errclust.toml" in done.stderr
