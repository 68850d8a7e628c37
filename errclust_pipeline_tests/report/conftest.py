"""Small computed benchmarks and a battle set, whose texts try to become markup or code."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import quick_root, with_pictures
from errclust_pipeline_tests.helpers.battle_files import topic_battles, write_lmsys
from errclust_pipeline_tests.helpers.option_files import write_lm_eval
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

MODELS = ("org/model-a", "org/model-b", "org/<b onclick=alert(1)>model-c")
HOSTILE = (
    "<script>document.body.remove()</script>",
    "<img src=x onerror=document.body.remove()>",
    '<a href="javascript:document.body.remove()">javascript:document.body.remove()</a>',
    "</script><script>document.body.remove()</script><!--<script>",
    "\u202egnissap\u202c \u2067\u2028 &lt;b&gt; {{script}} ${document.body.remove()}",
)
WEAK = "org/<b onclick=document.body.remove()>weak"
ENDLESS = "endless " * 131_072


def computed(folder: Path, layout: bool, *more: Path, battles: Path | None = None) -> Warehouse:
    """Return a warehouse in which the results of three models on `trivia` are computed.

    Parameters
    ----------
    more : Path
        Further results that are computed with them.
    battles : Path, optional
        Of a battle set, `topics`.
    """
    root = with_pictures(quick_root(folder / "root"))
    if layout:
        settings = root / "errclust.toml"
        settings.write_text(settings.read_text().replace("layout = false", "layout = true"))
    file = write_table(folder / "results.csv", MODELS, per_topic=30, weak_in={MODELS[0]: "metals"})
    with file.open(newline="") as read:
        rows = list(csv.DictReader(read))
    for number, row in enumerate(rows):
        hostile = HOSTILE[number % len(HOSTILE)]
        row["output_text"] = f"{row['output_text']} {hostile}"
        # The same question for all models.
        if int(row["example_id"].split("-")[1]) % 10 == 4:
            row["input_text"] += " " + HOSTILE[int(row["example_id"].split("-")[1]) // 10 % 5]
        row["subject"] += " <i>subject</i>"
    for row in rows:
        if row["example_id"] == "0-37":
            row["input_text"] += " " + ENDLESS
            row["output_text"] += " " + ENDLESS
    with file.open("w", newline="") as written:
        writer = csv.DictWriter(written, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    warehouse = Warehouse(str(root))
    ingest(warehouse, [file, *more])
    if battles is not None:
        ingest(warehouse, [battles], options={"benchmark": "topics"})
    partitions = [*warehouse.submissions(), *warehouse.battle_sets()]
    assert failures_of(run_phases(warehouse, partitions=partitions)) == []
    return warehouse


@pytest.fixture(scope="package")
def trivia(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The benchmark without a layout of its map."""
    return computed(tmp_path_factory.mktemp("report"), layout=False)


@pytest.fixture(scope="package")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The benchmark with a layout, one on which a model is confidently wrong, and battles."""
    folder = tmp_path_factory.mktemp("laid-out")
    sure = write_lm_eval(folder / "sure", "sure", per_topic=40, deceived_in="chess")
    rows = topic_battles(per_topic=30)
    for number, row in enumerate(rows):
        for side in ("a", "b"):
            if row[f"model_{side}"] == "weak":
                row[f"model_{side}"] = WEAK
            row[f"conversation_{side}"][1]["content"] += HOSTILE[number % len(HOSTILE)]
    return computed(folder, True, sure, battles=write_lmsys(folder / "topics.jsonl", rows))
