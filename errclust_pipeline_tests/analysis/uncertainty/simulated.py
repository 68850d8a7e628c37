"""Questions with options for tests: a toy whose figures the authors' functions give, and others."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax


def authors_toy():
    """Six logits of 2,000 questions with four answers, seeded; even rows calibrate."""
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 4, 2000)
    logits = generator.normal(size=(2000, 6))
    logits[:, 4:] -= 1.5
    logits[np.arange(2000), gold] += 1.5
    return logits, gold, np.arange(2000) % 2 == 0


def ragged_questions(n, seed, options=(2, 3, 5, 10), strength=1.5):
    """Probabilities of questions with different numbers of options, NaN beyond them."""
    generator = np.random.default_rng(seed)
    counts = generator.choice(options, n)
    gold = generator.integers(0, counts)
    logits = generator.normal(size=(n, max(options)))
    logits[np.arange(n), gold] += strength
    logits[np.arange(logits.shape[1]) >= counts[:, None]] = -np.inf
    probabilities = softmax(logits, axis=1)
    probabilities[np.isneginf(logits)] = np.nan
    return probabilities, gold
