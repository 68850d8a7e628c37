"""Ratings of real battles, judges side by side, and the time of a million battles.

    python benchmarks/battle_ratings.py ../shared/data

llmfao's crowd and GPT-4 judge the same pairs of outputs; PandaLM's three annotators too. Then
1,000,000 simulated battles among 200 models are rated.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import pandas as pd

from errclust_pipeline.analysis.ratings import (
    FEATURES,
    Battles,
    RankAgreement,
    Ratings,
    battles_of,
    bootstrap_ratings,
    fit_ratings,
    online_elo,
    rank_agreement,
    regional_ratings,
    style_differences,
    verdict_agreement,
    verdicts_by_judge,
)
from errclust_pipeline.sources.battles import find_battle_sets, read_battles


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with llmfao/ and pandalm/ in it")
    parser.add_argument("--battles", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print_llmfao(read(arguments.data / "llmfao"))
    print_pandalm(read(arguments.data / "pandalm"))
    print_speed(arguments.battles)


def read(folder: Path) -> pd.DataFrame:
    """Read the folder's only battle set."""
    (found,) = find_battle_sets(folder)
    return pd.concat([batch.battles.to_pandas() for batch in read_battles(found)])


def arrays(rows: pd.DataFrame) -> Battles:
    """Make battles of rows."""
    columns = [rows[name].tolist() for name in ("model_a", "model_b", "winner", "question_id")]
    return battles_of(*columns)


def print_llmfao(rows: pd.DataFrame) -> None:
    """Rate the models by crowd and by GPT-4."""
    crowd, model = (rows[rows.judge_kind == kind] for kind in ("human", "model"))
    of_crowd, of_model = arrays(crowd), arrays(model)
    workers = pd.factorize(crowd.judge)[0]
    ratings = fit_ratings(of_crowd, clusters=[of_crowd.prompts, workers])
    others = fit_ratings(of_model, clusters=[of_model.prompts])
    print(
        f"llmfao: {len(of_crowd):,} votes of {workers.max() + 1} workers and {len(of_model):,} of "
        f"GPT-4, {len(ratings.models)} models, {ratings.clusters} prompts"
    )
    print_side_by_side(ratings, others)
    print(f"  the two rankings: {in_words(rank_agreement(ratings, others))}")
    bounded = [name for name, one in zip(others.models, others.bounded, strict=True) if not one]
    print(f"  without a finite rating by the likelihood: {', '.join(bounded) or 'none'} (GPT-4)")
    by_prompt = bootstrap_ratings(of_crowd, repetitions=200)
    print(
        "  mean standard error of the crowd's: "
        f"{fit_ratings(of_crowd).standard_errors.mean():.1f} with independent votes, "
        f"{fit_ratings(of_crowd, clusters=[of_crowd.prompts]).standard_errors.mean():.1f} by "
        f"prompt, {ratings.standard_errors.mean():.1f} by prompt and worker, "
        f"{np.nanstd(by_prompt, axis=0).mean():.1f} by bootstrap over prompts"
    )
    davidson = fit_ratings(of_crowd, ties="davidson")
    elo = online_elo(of_crowd)
    print(
        f"  the crowd's with ties by Davidson (ln nu {davidson.tie_log_odds:.3f}): "
        f"{in_words(rank_agreement(ratings, davidson))}; correlation with online Elo "
        f"{np.corrcoef(ratings.rating, elo)[0, 1]:.3f}"
    )
    majority = pair_scores(crowd), pair_scores(model)
    pairs = sorted(majority[0].keys() & majority[1].keys())
    found = verdict_agreement(*([one[pair] for pair in pairs] for one in majority))
    print(
        f"  verdicts, the crowd's by majority: the same of {found.observed:.3f} (by chance "
        f"{found.by_chance:.3f}, kappa {found.kappa:.3f}), and of {found.observed_decisive:.3f} of "
        f"{found.decisive:,} that neither calls a tie"
    )
    for name, own, battles in (("crowd", crowd, of_crowd), ("GPT-4", model, of_model)):
        print_style(name, own, battles)
        print_subjects(name, own, battles)


def in_words(found: RankAgreement) -> str:
    """Describe how far two rankings agree."""
    return (
        f"Kendall's tau {found.kendall:.3f}, Spearman's {found.spearman:.3f}, correlation "
        f"{found.correlation:.3f}"
    )


def pair_scores(rows: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """Return by pair of responses who won more votes."""
    score = rows.winner.map({"model_a": 1.0, "model_b": -1.0, "tie": 0.0})
    sums = score.groupby([rows.question_id, rows.model_a, rows.model_b]).sum()
    return {pair: (np.sign(value) + 1) / 2 for pair, value in sums.items()}


def print_side_by_side(ratings: Ratings, others: Ratings, most: int = 8) -> None:
    """Print the models rated highest, and lowest, by the first."""
    rows = zip(others.rating, others.low, others.high, strict=True)
    second = dict(zip(others.models, rows, strict=True))
    order = np.argsort(-ratings.rating)
    rank = {others.models[one]: place for place, one in enumerate(np.argsort(-others.rating), 1)}
    for place, one in enumerate(order, 1):
        if most < place <= len(order) - most:
            continue
        name = ratings.models[one]
        rating, low, high = second[name]
        print(
            f"  {place:3} {name:28.28} {ratings.rating[one]:6.0f} [{ratings.low[one]:5.0f}, "
            f"{ratings.high[one]:5.0f}]   {rank[name]:3} {rating:6.0f} [{low:5.0f}, {high:5.0f}]"
        )


def print_style(name: str, rows: pd.DataFrame, battles: Battles) -> None:
    """Print what style is worth to a judge."""
    style = style_differences(rows.response_a.tolist(), rows.response_b.tolist())
    ratings = fit_ratings(battles, clusters=[battles.prompts], covariates=style, names=FEATURES)
    worth = ", ".join(
        f"{one.name} {one.estimate:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        + ("" if one.bounded else " (rests on the prior)")
        for one in ratings.coefficients
    )
    print(f"  {name}, log odds of one standard deviation more: {worth}")


def print_subjects(name: str, rows: pd.DataFrame, battles: Battles, most: int = 8) -> None:
    """Print whether wins depend on the kind of prompt; of many kinds, where p is smallest."""
    subject = dict(zip(battles.prompts.tolist(), rows.subject, strict=True))
    regions = [subject[one] for one in range(len(subject))]
    found = regional_ratings(battles, fit_ratings(battles), regions)
    print(f"  {name}, by kind of prompt (regional spread {found.spread:.0f} points):")
    print(found.regions.nsmallest(most, "p").round(4).to_string(index=False))


def print_pandalm(rows: pd.DataFrame) -> None:
    """Rate the models by each annotator."""
    battles = arrays(rows)
    print(f"\nPandaLM: {len(battles):,} verdicts on {len(set(rows.question_id)):,} prompts")
    ratings = fit_ratings(battles, clusters=[battles.prompts])
    for one in np.argsort(-ratings.rating):
        print(
            f"  {ratings.models[one]:20} {ratings.rating[one]:6.0f} [{ratings.low[one]:5.0f}, "
            f"{ratings.high[one]:5.0f}]"
        )
    pairs = list(zip(rows.question_id, rows.model_a, rows.model_b, strict=True))
    verdicts = verdicts_by_judge(battles, rows.judge.tolist(), pairs)
    own = {judge: fit_ratings(arrays(rows[rows.judge == judge])) for judge in verdicts}
    for first, second in itertools.combinations(sorted(verdicts), 2):
        found = verdict_agreement(verdicts[first], verdicts[second])
        ranks = rank_agreement(own[first], own[second])
        print(
            f"  {first} and {second}: agree on {found.observed:.3f} (by chance "
            f"{found.by_chance:.3f}, kappa {found.kappa:.3f}), on {found.observed_decisive:.3f} of "
            f"{found.decisive} that neither calls a tie; Kendall's tau of ratings "
            f"{ranks.kendall:.2f}"
        )
    print_style("annotators", rows, battles)
    print_subjects("annotators", rows, battles)


def print_speed(count: int, models: int = 200, prompts: int = 100_000) -> None:
    """Time the rating of simulated battles."""
    draw = np.random.default_rng(0)
    strength = draw.normal(size=models)
    first = draw.integers(0, models, count)
    second = (first + draw.integers(1, models, count)) % models
    won = draw.random(count) < 1 / (1 + np.exp(strength[second] - strength[first]))
    score = np.where(draw.random(count) < 0.2, 0.5, won.astype(float))
    names = tuple(f"model {number:03}" for number in range(models))
    battles = Battles(names, first, second, score, draw.integers(0, prompts, count))
    workers, style = draw.integers(0, count // 20, count), draw.normal(size=(count, 4))
    regions = [f"region {number}" for number in draw.integers(0, 30, prompts)]
    print(f"\n{count:,} battles among {models} models, on {prompts:,} prompts; processor seconds:")
    timed("ratings, independent battles", lambda: fit_ratings(battles))
    ratings = timed(
        "ratings, clustered by prompt", lambda: fit_ratings(battles, clusters=[battles.prompts])
    )
    timed(
        "ratings, by prompt and worker",
        lambda: fit_ratings(battles, clusters=[battles.prompts, workers]),
    )
    timed(
        "Davidson's, by prompt",
        lambda: fit_ratings(battles, ties="davidson", clusters=[battles.prompts]),
    )
    timed(
        "with four covariates, by prompt",
        lambda: fit_ratings(
            battles, clusters=[battles.prompts], covariates=style, names=list("abcd")
        ),
    )
    timed("online Elo", lambda: online_elo(battles))
    timed("20 bootstraps over prompts", lambda: bootstrap_ratings(battles, repetitions=20))
    timed(
        "30 regions, 99 permutations",
        lambda: regional_ratings(battles, ratings, regions, permutations=99),
    )


def timed(title: str, work: object) -> object:
    """Print how long it takes and return what it gives."""
    started = time.process_time()
    result = work()
    print(f"  {title:34}{time.process_time() - started:7.2f}", flush=True)
    return result


if __name__ == "__main__":
    main()
