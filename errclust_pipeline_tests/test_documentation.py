"""What the documentation shows can be done as it stands there."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline_tests.helpers.result_files import questions

REPOSITORY = Path(__file__).parents[1]
ANY_TABLE = REPOSITORY / "docs" / "how-to" / "any-table.md"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_classifier_of_the_page_on_tables_is_taken_in_and_shown(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = ANY_TABLE.read_text()
    mapping = blocks(text, "yaml")[0]
    Path("imdb.yaml").write_text(mapping)
    with Path("predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "predicted"])
        for number, (topic, question) in enumerate(questions(15)):
            label = number % 2
            # Numbers and names of labels may stand side by side.
            predicted = 1 - label if topic == "chess" else ["negative", "positive"][label]
            writer.writerow([question, label, predicted])

    outputs = []
    for command in blocks(text, "sh")[0].splitlines():
        program, *arguments = shlex.split(command)
        assert program == "errclust"
        done = CliRunner().invoke(app, arguments, env={"ERRCLUST_ROOT": str(root)})
        assert done.exit_code == 0, done.output
        outputs.append(done.output)
    assert "15 errors" in outputs[-1]
    assert "chess" in outputs[-1]

    query = "select gold, prediction, count(*) as n from errors group by all order by gold"
    found = CliRunner().invoke(app, ["sql", query, "--json"], env={"ERRCLUST_ROOT": str(root)})
    assert [tuple(row.values()) for row in json.loads(found.stdout)] == [
        ("negative", "positive", 8),
        ("positive", "negative", 7),
    ]
