"""Whether wins depend on the topic: planted effects are found, and none under the null."""

from __future__ import annotations

import numpy as np
import pytest

from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.analysis.ratings import (
    ELO,
    fit_ratings,
    regional_ratings,
    residual_by_prompt,
)
from errclust_pipeline.analysis.spatial import global_statistics
from errclust_pipeline_tests.analysis.ratings.simulated import simulate

STRENGTH = np.array([-0.6, -0.2, 0.0, 0.2, 0.6])
REGIONS = 8


def topics(prompts, seed=0):
    return np.random.default_rng(seed).integers(0, REGIONS, prompts)


def planted(prompts=2_000, votes=1, effect=1.2, quirk=0.0, seed=0):
    """Model 1 is better on topic 3 than elsewhere, by so many log odds."""
    topic = topics(prompts, seed)
    shift = np.zeros((prompts, len(STRENGTH)))
    shift[topic == 3, 1] = effect
    battles = simulate(STRENGTH, prompts, votes, 0.1, seed, quirk, shift)
    return battles, [f"topic {one}" for one in topic]


def rate(battles, names, **options):
    return regional_ratings(battles, fit_ratings(battles), names, **options)


def test_a_planted_topic_effect_is_found_where_it_is_and_for_whom():
    found = rate(*planted())
    regions = found.regions.set_index("region")
    assert regions.q["topic 3"] < 0.01
    # What lifts a model's overall rating there is lacking elsewhere: at most seen once.
    assert (regions.q < 0.05).sum() <= 2
    assert regions.p_independent.idxmin() == "topic 3"
    models = found.models
    strongest = models.loc[models.p.idxmin()]
    assert (strongest.region, strongest.model) == ("topic 3", "model-001")
    assert strongest.q < 0.001
    assert strongest.win_rate > strongest.expected
    assert strongest.low < strongest.win_rate < strongest.high
    assert found.spread > 0
    # Of 208 points, four fifths are left once ratings are centred, of these seven eighths once the
    # overall rating has taken its part; the rest is shrunk.
    assert 50 < strongest["shift"] < 1.2 * ELO * 4 / 5 * 7 / 8
    elsewhere = models[(models.region != "topic 3") & (models.model == "model-001")]
    assert elsewhere["shift"].abs().max() < strongest["shift"] / 2
    assert (models.q < 0.05).sum() <= 5


def test_without_an_effect_few_regions_are_found_even_if_votes_depend_on_each_other():
    independent = found = cells = 0
    repetitions = 40
    for seed in range(repetitions):
        result = rate(*planted(300, 6, 0.0, 1.5, seed), permutations=99, spread=0.0)
        independent += (result.regions.p_independent < 0.05).mean()
        found += (result.regions.p < 0.05).mean()
        cells += (result.models.p < 0.05).mean()
    # 320 regions and 1,600 cells: the tests by prompt hold their level.
    assert found / repetitions == pytest.approx(0.05, abs=0.03)
    assert 0.01 < cells / repetitions < 0.06
    # The textbook's likelihood ratio takes every vote for news.
    assert independent / repetitions > 0.2


def test_regions_of_a_few_prompts_make_no_headlines():
    found = 0
    for seed in range(40):
        battles = simulate(STRENGTH, 170, 9, 0.1, seed, 1.5)
        names = [f"topic {prompt // 4}" for prompt in range(170)]
        result = rate(battles, names, permutations=0, spread=0.0)
        found += (result.models.q < 0.05).any()
    assert found <= 3


def test_the_likelihood_ratio_is_calibrated_where_battles_are_independent():
    below = [
        rate(*planted(800, 1, 0.0, 0.0, seed), permutations=0, spread=0.0).regions
        for seed in range(40)
    ]
    # Ties, each half a win, vary less than wins: so it is a little cautious.
    share = np.mean([(one.p_independent < 0.05).mean() for one in below])
    assert 0.01 < share < 0.07
    assert (below[0].degrees_of_freedom == len(STRENGTH) - 1).all()
    assert below[0].p.isna().all()


def test_no_spread_is_chosen_where_there_is_no_effect():
    chosen = [rate(*planted(600, 1, 0.0, 0.0, seed), permutations=0).spread for seed in range(10)]
    assert np.median(chosen) <= 20
    assert rate(*planted(2_000, 1, 1.2), permutations=0).spread >= 40


def test_without_spread_regional_ratings_are_the_overall_ones():
    battles, names = planted(300)
    ratings = fit_ratings(battles)
    found = regional_ratings(battles, ratings, names, permutations=0, spread=0.0).models
    overall = dict(zip(ratings.models, ratings.rating, strict=True))
    assert found["rating"].tolist() == pytest.approx([overall[name] for name in found["model"]])
    assert (found["shift"] == 0).all()


def test_few_battles_are_shrunk_more_than_many():
    battles, _ = planted(4_000, effect=0.0)
    first = (battles.first == 1).astype(float) + (battles.second == 1)
    # Region "small" has the prompts that model 1 won, a handful; "large" as lopsided, but many.
    won = (first > 0) & ((battles.score == 1) == (battles.first == 1)) & (battles.score != 0.5)
    prompts = np.flatnonzero(won)
    names = np.full(4_000, "rest", dtype=object)
    names[prompts[:6]], names[prompts[6:306]] = "small", "large"
    found = rate(battles, list(names), permutations=0, spread=80.0).models
    shift = found[found.model == "model-001"].set_index("region")["shift"]
    assert 0 < shift["small"] < shift["large"] / 2


def test_prompts_in_no_region_count_overall_only():
    battles, names = planted(400)
    half = [name if number % 2 else None for number, name in enumerate(names)]
    found = rate(battles, half, permutations=19)
    assert found.regions.prompts.sum() == 200
    assert found.models.battles.sum() == 2 * 200
    nowhere = rate(battles, [None] * 400, permutations=5)
    assert nowhere.regions.empty
    assert nowhere.models.empty


def test_win_rates_are_counted():
    battles, names = planted(300, votes=3)
    found = rate(battles, names, permutations=0, spread=0.0).models
    row = found[(found.region == "topic 2") & (found.model == "model-004")].iloc[0]
    inside = np.array(names)[battles.prompts] == "topic 2"
    first, second = inside & (battles.first == 4), inside & (battles.second == 4)
    scores = np.concatenate([battles.score[first], 1 - battles.score[second]])
    assert row.battles == len(scores)
    assert row.prompts == len(np.unique(battles.prompts[first | second])) == len(scores) / 3
    assert row.win_rate == pytest.approx(scores.mean())


def test_a_region_where_all_battles_end_alike_has_an_interval_all_the_same():
    battles, names = planted(300)
    battles.score[np.array(names)[battles.prompts] == "topic 1"] = 1.0
    found = rate(battles, names, permutations=0, spread=0.0).models
    inside = found[(found.region == "topic 1") & (found.prompts > 3)]
    assert (inside.high - inside.low > 0.05).all()
    assert (inside.low >= 0).all()
    assert (inside.high <= 1).all()


def test_what_does_not_fit_is_refused():
    battles, names = planted(100)
    ratings = fit_ratings(battles)
    with pytest.raises(ValueError, match="regions of 50 prompts"):
        regional_ratings(battles, ratings, names[:50])
    with pytest.raises(ValueError, match="ties as half a win"):
        regional_ratings(battles, fit_ratings(battles, ties="davidson"), names)


def moran(effect, seed):
    battles, names = planted(1_200, 2, effect, 0.0, seed)
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(REGIONS, 16))
    topic = np.array([int(name[-1]) for name in names])
    embeddings = centres[topic] + 0.5 * draw.normal(size=(1_200, 16))
    neighbours, _ = cosine_neighbours(embeddings.astype(np.float32), 20)
    marks = residual_by_prompt(battles, fit_ratings(battles), "model-001")
    (found,) = global_statistics(marks, neighbours, [20], permutations=0)
    return found.z


def test_morans_i_of_the_residual_sees_the_effect_on_the_map_and_nothing_without_it():
    assert moran(2.0, 0) > 5
    without = [moran(0.0, seed) for seed in range(20)]
    assert np.mean(np.abs(without) > 1.96) <= 0.15
    assert abs(np.mean(without)) < 1


def test_residuals_are_of_one_model_on_its_own_prompts_or_of_one_pair():
    battles, _ = planted(200, votes=2)
    ratings = fit_ratings(battles)
    marks = residual_by_prompt(battles, ratings, "model-002")
    plays = np.zeros(200, dtype=bool)
    plays[battles.prompts[(battles.first == 2) | (battles.second == 2)]] = True
    assert (~np.isnan(marks) == plays).all()
    # Over all of a model's battles, it did as its rating says.
    assert np.nansum(marks) == pytest.approx(0, abs=1e-6)
    pair = residual_by_prompt(battles, ratings, "model-002", "model-004")
    turned = residual_by_prompt(battles, ratings, "model-004", "model-002")
    assert pair == pytest.approx(-turned, nan_ok=True)
    assert (~np.isnan(pair)).sum() < plays.sum()
    with pytest.raises(ValueError, match="nobody fought no battle"):
        residual_by_prompt(battles, ratings, "nobody")
