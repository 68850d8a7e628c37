"""What is printed: errors, and texts of third parties."""

import subprocess
import sys

import pytest

from errclust_pipeline.cli.common import BAD_INPUT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "/no/such/place"], "does not exist"),
        (["sql", " "], "the query is empty"),
        (["run"], "errclust ingest PATH"),
        (["ingest", ".", "--column", "input_text"], "expected WHAT=COLUMN"),
        (["show", "clusters", "a", "b"], "nothing was ingested"),
    ],
)
def test_bad_input_is_explained_and_has_its_exit_code(errclust, arguments, message):
    done = errclust(*arguments)
    assert done.exit_code == BAD_INPUT
    assert message in done.stderr


def test_hostile_texts_reach_the_terminal_as_plain_text(errclust, tmp_path):
    hostile = "\x1b[31mred [bold]not bold[/bold]\x07 \u202ereversed"
    rows = "".join(
        f'{number},m,"Which {hostile} number {number}?",no,0,yes,trivia\n' for number in range(12)
    )
    header = "example_id,model,input_text,output_text,score,correct_answer,dataset\n"
    (tmp_path / "hostile.csv").write_text(header + rows)
    errclust("ingest", str(tmp_path / "hostile.csv"))
    assert errclust("run").exit_code == 0
    for arguments in (["show", "clusters", "trivia", "m"], ["sql", "select question from errors"]):
        shown = errclust(*arguments).stdout
        assert "[bold]not bold[/bold]" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_a_renamed_setting_is_told_in_a_line_without_code(root):
    (root / "errclust.toml").write_text("[clustering]\nseed = 3\n")
    done = subprocess.run(
        [sys.executable, "-m", "errclust_pipeline.cli", "--root", str(root), "status"],
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in done.stderr.splitlines() if "clustering.seed" in line]
    assert line.startswith("warning: setting clustering.seed is called")
    assert ".py" not in done.stderr
