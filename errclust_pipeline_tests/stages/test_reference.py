"""The reference of the assets, as Markdown."""

from errclust_pipeline.stages import PHASES, STAGES
from errclust_pipeline.stages.reference import assets_as_markdown


def cells(asset):
    (line,) = [line for line in assets_as_markdown().splitlines() if f"| **`{asset}`** " in line]
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_every_asset_has_a_row_and_every_job_a_section():
    page = assets_as_markdown()
    for name in STAGES:
        assert len(cells(name)) == 5
    for phase in PHASES:
        assert f"## Job `{phase}`" in page


def test_a_row_says_what_is_read_and_written_and_when():
    assert cells("raw_results")[1] == "the submitted files"
    assert cells("leaderboard")[1].endswith("*`uncertainty`*")
    assert cells("region_labels")[2:4] == [
        "[region_labels](tables.md#table-region-labels)",
        "in the run of `question_map`",
    ]
    assert cells("question_map")[4] == "embedding"
