"""The table of ratings: its order, its shares, and what it says where responses are not known."""

import numpy as np
import pandas as pd
import pytest

from errclust_pipeline.analysis.ratings import JudgedBattles
from errclust_pipeline.analysis.ratings.rating_table import rating_table
from errclust_pipeline_tests.analysis.comparison.maps import small_map

STRENGTH = {"weak": -1.0, "middle": 0.0, "strong": 1.0}


def judged(responses):
    """Battles in which the stronger model wins more often; the winner writes more, if it writes."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(300):
        a, b = rng.permutation(list(STRENGTH))[:2]
        wins = rng.random() < 1 / (1 + np.exp(STRENGTH[b] - STRENGTH[a]))
        longer, shorter = "word " * int(rng.integers(20, 40)), "word " * int(rng.integers(1, 20))
        rows.append(
            {
                "model_a": a,
                "model_b": b,
                "winner": "model_a" if wins else "model_b",
                "judge": f"judge {number % 30}",
                "question_id": f"q{number % 60}",
                "subject": None,
                "response_a": (longer if wins else shorter) if responses else None,
                "response_b": (shorter if wins else longer) if responses else None,
            }
        )
    return JudgedBattles.from_rows(pd.DataFrame(rows), small_map(60))


@pytest.mark.parametrize("responses", [True, False])
def test_the_strongest_model_comes_first_with_its_share_of_wins(responses):
    battles = judged(responses)
    table, style = rating_table(battles, battles.rate(), small_map(60))
    assert table["model"].tolist() == ["strong", "middle", "weak"]
    assert table["battles"].sum() == 600
    wins = (table["win_rate"] * table["battles"]).sum()
    assert wins == pytest.approx(300)
    assert np.isfinite(table["moran_z"]).all()
    assert (table["k"] == table["k"].iloc[0]).all()
    if responses:
        assert {"estimate", "low", "high"} == set(next(iter(style.values())))
        assert table["style_rating"].notna().all()
    else:
        assert style == {}
        assert table["style_rating"].isna().all()


def test_a_map_too_small_for_a_neighbourhood_has_no_concentration():
    questions = small_map(3)
    rows = judged(True).rows.head(40).assign(question_id="q0")
    battles = JudgedBattles.from_rows(rows, questions)
    table, _ = rating_table(battles, battles.rate(), questions)
    assert (table["k"] == 0).all()
    assert table["moran"].isna().all()
