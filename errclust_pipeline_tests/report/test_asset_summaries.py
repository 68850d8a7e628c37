"""Summaries on the assets' pages in the Dagster UI, for every asset and with hostile texts."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from errclust_pipeline.report import asset_summaries
from errclust_pipeline.report.markdown import (
    MOST_BYTES,
    SHOWN_AT_ONCE,
    Share,
    picture,
    table,
    words,
)
from errclust_pipeline.stages import STAGES
from errclust_pipeline_tests.helpers.running import markdown_by_asset
from errclust_pipeline_tests.report.conftest import HOSTILE

WITH_PICTURE = {"autocorrelation", "training_candidates", "leaderboard", "model_comparison"}
"""Assets whose summary has a picture although the map has no layout."""
OF_BATTLES = {"battles", "prompt_map", "ratings"}
_ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~]")
_IMAGE = re.compile(r"!\[(?:\\.|[^\]\\])*\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)")


def images_of(text: str) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in _IMAGE.findall(text)]


@pytest.fixture(scope="module")
def shown(trivia):
    return markdown_by_asset(trivia)


def test_every_asset_has_a_summary_that_is_shown_without_a_click(shown):
    assert set(shown) == set(STAGES) - OF_BATTLES
    for asset, texts in shown.items():
        assert 0 < len(texts[asset_summaries.TABLE]) <= SHOWN_AT_ONCE, asset
    assert "| in no cluster |" in shown["error_clusters"][asset_summaries.TABLE]
    assert "█" in shown["leaderboard"][asset_summaries.TABLE]
    assert "log" in shown["uncertainty"][asset_summaries.TABLE]
    assert "errclust" in shown["error_diagnoses"][asset_summaries.TABLE]


def test_pictures_are_small_and_can_be_opened(shown):
    with_picture = {asset for asset, texts in shown.items() if asset_summaries.PICTURE in texts}
    assert with_picture == WITH_PICTURE
    pictures = [
        text for texts in shown.values() for name, text in texts.items() if name != "at_a_glance"
    ]
    for text in pictures:
        assert len(text) < MOST_BYTES
        [image] = images_of(text)
        assert image.width > 300
        assert len(image.getcolors()) > 2


def test_third_party_text_in_them_is_no_markdown(shown):
    for asset, texts in shown.items():
        for text in texts.values():
            own = _IMAGE.sub("", _ESCAPED.sub("", text))
            assert not re.search(r"[<>\[\]*_`\\]|://", own), (asset, own)


@pytest.mark.parametrize(
    "hostile",
    [*HOSTILE, "![x](http://127.0.0.1/x.png)", "a|b\n# c\r\n- d", "[x](javascript:alert(1))"],
)
def test_words_are_on_one_line_and_all_their_marks_escaped(hostile):
    escaped = words(hostile, 200)
    assert escaped.isprintable()
    assert re.fullmatch(r"(?:[^!-/:-@\[-`{-~]|\\[!-/:-@\[-`{-~])*", escaped)


def test_a_long_table_is_cut_and_says_how_much_is_left_out():
    text = table(["name", "share"], [[f"cluster {number}", Share(0.5)] for number in range(300)])
    assert len(text) <= SHOWN_AT_ONCE
    shown = text.count("50%")
    assert text.endswith(f"… and {300 - shown} more")
    assert table(["n"], [[None], [float("nan")], [1e-7], [12_345]]).splitlines()[2:] == [
        "| – |", "| – |", "| 1.0e-07 |", "| 12,345 |",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def places():
    """A map of as many questions as MMLU-Pro has, some without a region."""
    draw = np.random.default_rng(0)
    region = draw.integers(0, 13, 12_000)
    xy = np.column_stack([region % 4, region // 4]) + draw.normal(0, 0.2, (len(region), 2))
    names = [f"{number}.1" if number else None for number in region.tolist()]
    ids = [f"q{number}" for number in range(len(region))]
    return pd.DataFrame(
        {"question_id": ids, "region_id": names, "x": xy[:, 0], "y": xy[:, 1], "region": region}
    )


def test_a_map_of_regions_shows_each_colour(places):
    found = asset_summaries.summarize_map(places, "a benchmark", {"1": HOSTILE[1], "2": "metals"})
    assert re.search(r"\| region 2 \| [\d,]+ \| .* \| metals \|", found[asset_summaries.TABLE])
    drawn = found[asset_summaries.PICTURE]()
    assert len(drawn) < MOST_BYTES
    [image] = images_of(drawn)
    assert len(image.getcolors()) > 20
    unplaced = places.assign(x=np.nan, y=np.nan)
    assert set(asset_summaries.summarize_map(unplaced, "a benchmark")) == {asset_summaries.TABLE}


def test_a_map_of_hot_spots_shows_hot_and_cold_questions(places):
    hot, cold = places["region"] == 3, places["region"] == 5
    spots = pd.DataFrame(
        {
            "question_id": places["question_id"],
            "k": 100,
            "smoothed_rate": np.where(hot, 0.9, np.where(cold, 0.1, 0.4)),
            "q_hot": np.where(hot, 0.001, 1.0),
            "q_cold": np.where(cold, 0.001, 1.0),
        }
    )
    regions = pd.DataFrame(
        [
            {
                "basis": "beyond_difficulty",
                "label": "metals",
                "size": 9,
                "rate": 0.9,
                "outside_rate": 0.4,
            }
        ]
    )
    found = asset_summaries.summarize_hot_spots(
        spots, regions, places, {"3": HOSTILE[2]}, 0.05, "a model"
    )
    assert found[asset_summaries.TABLE].endswith("| 9 | metals | beyond difficulty |")
    drawn = found[asset_summaries.PICTURE]()
    assert len(drawn) < MOST_BYTES
    [image] = images_of(drawn)
    pixels = np.asarray(image.convert("RGB")).astype(int).reshape(-1, 3)
    # The hottest are dark brown, the coldest have a blue edge.
    assert (np.abs(pixels - [0x7D, 0x2C, 0x05]).sum(axis=1) < 40).sum() > 100
    assert (pixels[:, 2] - pixels[:, 0] > 60).sum() > 100


def test_a_picture_that_stays_too_large_is_an_error(monkeypatch):
    from errclust_pipeline.report import markdown
    from errclust_pipeline.report.drawing import new_figure

    monkeypatch.setattr(markdown, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="a picture of nothing takes"):
        picture(new_figure(1, 1)[0], "nothing")


def test_what_is_not_known_is_a_dash_and_drawn_nowhere():
    nothing = dict.fromkeys(("rating", "low", "high", "moran_z", "accuracy"))
    row = {"judge_kind": "human", "model": "a", "battles": 0, **nothing}
    ratings = asset_summaries.summarize_ratings([row], "a set")
    assert ratings == {asset_summaries.TABLE: ratings[asset_summaries.TABLE]}
    assert ratings[asset_summaries.TABLE].endswith("| human | a | – | – | 0 |")
    leaderboard = asset_summaries.summarize_leaderboard([row], [], {}, "a benchmark")
    assert set(leaderboard) == {asset_summaries.TABLE}
    assert leaderboard[asset_summaries.TABLE].endswith("| a | – | – |")
    names = ("difference", "difference_low", "difference_high", "gate_p")
    pair = {"model_a": "a", "model_b": "b", **dict.fromkeys(names, float("nan"))}
    pairs = asset_summaries.summarize_comparison([pair], "a benchmark")
    assert set(pairs) == {asset_summaries.TABLE}
    assert pairs[asset_summaries.TABLE].endswith("| a | b | – | – | – |")
