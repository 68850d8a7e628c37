"""Battles of models with known strengths."""

from __future__ import annotations

import numpy as np

from errclust_pipeline.analysis.ratings import Battles

# The worked example of Wikipedia's article on the model, as models and their wins.
WIKIPEDIA = {"AB": 2, "BA": 3, "AD": 1, "DA": 4, "BC": 5, "CB": 3, "CD": 1, "DC": 3}


def wikipedia() -> tuple[list[str], list[str], list[str]]:
    """Its 22 games: model A, model B, winner."""
    games = [pair for pair, times in WIKIPEDIA.items() for _ in range(times)]
    return [game[0] for game in games], [game[1] for game in games], ["model_a"] * len(games)


def names(models: int) -> tuple[str, ...]:
    return tuple(f"model-{number:03}" for number in range(models))


def simulate(
    strength: np.ndarray,
    prompts: int,
    votes: int = 1,
    ties: float = 0.0,
    seed: int = 0,
    quirk: float = 0.0,
    shift: np.ndarray | None = None,
) -> Battles:
    """Draw a pair of models for each prompt, and as many votes on it.

    Parameters
    ----------
    quirk : float
        Spread, in log odds, of what is odd about a prompt and its responses, to all of its votes.
    shift : array, shape (prompts, models), optional
        What is added to strengths on a prompt.
    """
    draw = np.random.default_rng(seed)
    models = len(strength)
    first = draw.integers(0, models, prompts)
    second = (first + draw.integers(1, models, prompts)) % models
    log_odds = strength[first] - strength[second] + quirk * draw.normal(size=prompts)
    if shift is not None:
        every = np.arange(prompts)
        log_odds = log_odds + shift[every, first] - shift[every, second]
    on = np.repeat(np.arange(prompts), votes)
    score = (draw.random(len(on)) < 1 / (1 + np.exp(-log_odds[on]))).astype(float)
    score[draw.random(len(on)) < ties] = 0.5
    return Battles(names(models), first[on], second[on], score, on)
