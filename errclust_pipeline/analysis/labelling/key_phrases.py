"""Key phrases of clusters of texts: class-based TF-IDF over phrases of one to three words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

_TEXT_CHARACTERS = 1500
_WORD_CHARACTERS = 30
_LONGEST_PHRASE = 3
_LATEX = re.compile(r"\\[A-Za-z]+")
_PIECE = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*|[.,;:!?()\[\]{}|\n$=<>+*/\\]")
_WORD = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]{2,})*")

_NEVER_SAY = """
answer answers answered correct incorrect question questions following statement statements
option options choose select which given gives give find determine calculate compute evaluate
assume suppose consider using use used one two three four five six seven eight nine ten first
second third following true false none question let does did will would could should may might
must shall can cannot let's if then there's it's is are was were be been has have had having many
much how what when where who why whose whom per each every according refer wikipedia articles
help text mathrm frac begin end left right cdot times sqrt quad array rightarrow infty dont doesn't
didn't don't isn't aren't wasn't weren't won't wouldn't shouldn't couldn't can't approximately
best describe describes described refer refers referred likely concerning explain note show shows
shown stated odd unless otherwise includes include including called known likely great
main major type types example examples based related nearest round rounded
""".split()  # noqa: SIM905 (a list would be ten times as long)


_LINKS = frozenset(
    {"of", "in", "to", "for", "and", "on", "per", "by", "with", "at", "from", "the", "a", "an"}
)
"""Stop words that a phrase may hold inside: "moment of inertia"."""


@cache
def _stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS) | frozenset(_NEVER_SAY)


@dataclass(frozen=True)
class KeyPhrases:
    """What sets a cluster apart.

    Attributes
    ----------
    phrases : tuple of str
        Best first.
    scores : tuple of float
        Their class-based TF-IDF.
    """

    phrases: tuple[str, ...]
    scores: tuple[float, ...]


def phrases_of(text: str) -> list[str]:
    """Return the phrases of a text: one to three words in a row, in lower case.

    A phrase neither begins nor ends with a stop word, may hold "of" and the like inside, and does
    not run across punctuation. Words
    are letters and hyphens only; numbers, LaTeX commands and single letters interrupt a phrase as
    punctuation does. Text beyond 1,500 characters is not looked at.
    """
    plain = _LATEX.sub(" | ", text[:_TEXT_CHARACTERS].lower())
    stop_words = _stop_words()
    runs: list[list[str]] = [[]]
    for piece in _PIECE.findall(plain):
        word = piece.replace("’", "'").removesuffix("'s")
        if word in stop_words or _is_word(word):
            runs[-1].append(word)
        elif runs[-1]:
            runs.append([])
    return [
        " ".join(run[start : start + length])
        for run in runs
        for start in range(len(run))
        if run[start] not in stop_words
        for length in range(1, min(_LONGEST_PHRASE, len(run) - start) + 1)
        if run[start + length - 1] not in stop_words
        and _LINKS.issuperset(stop_words.intersection(run[start : start + length]))
    ]


def content_words(text: str) -> frozenset[str]:
    """Return the words of a text that say something, in the singular and in lower case."""
    stop_words = _stop_words()
    words = _WORD.findall(text[:_TEXT_CHARACTERS].lower())
    return frozenset(_stem(word) for word in words if word not in stop_words)


def _is_word(word: str) -> bool:
    return len(word) <= _WORD_CHARACTERS and _WORD.fullmatch(word) is not None


@dataclass(frozen=True)
class PhraseCounts:
    """In how many texts of each class every phrase stands.

    Attributes
    ----------
    vocabulary : tuple of str
        Phrases in alphabetical order.
    counts : float64 array, shape (classes, phrases)
        Texts of the class with the phrase.
    """

    vocabulary: tuple[str, ...]
    counts: npt.NDArray[np.float64]


def count_phrases(texts: Mapping[str, Sequence[Sequence[str]]]) -> PhraseCounts:
    """Count the phrases of each class's texts, each once a text.

    Phrases of a single text of all are left out: they cannot be what texts have in common.

    Parameters
    ----------
    texts : mapping from class to texts
        A text is given by its phrases (`phrases_of`).
    """
    per_class = [Counter(p for phrases in part for p in set(phrases)) for part in texts.values()]
    overall: Counter[str] = Counter()
    for counter in per_class:
        overall.update(counter)
    vocabulary = tuple(sorted(phrase for phrase, count in overall.items() if count > 1))
    counts = np.array(
        [[counter[phrase] for phrase in vocabulary] for counter in per_class], dtype=np.float64
    ).reshape(len(per_class), len(vocabulary))
    return PhraseCounts(vocabulary, counts)


def class_tf_idf(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Weigh terms by how frequent they are in a class and rare elsewhere.

    ``W[t, c] = tf[t, c] * log(1 + A / f[t])`` where ``tf`` is the term's share of the class's
    counts, ``f`` its count over all classes and ``A`` the mean count of a class (Grootendorst
    2022, BERTopic, arXiv 2203.05794, equation 2).

    Parameters
    ----------
    counts : array, shape (classes, terms)

    Returns
    -------
    float64 array of the same shape
        0 where a term does not occur.
    """
    matrix = np.asarray(counts, dtype=np.float64)
    if not matrix.size:
        return np.zeros_like(matrix)
    totals = matrix.sum(axis=1, keepdims=True)
    frequency = matrix.sum(axis=0)
    share = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)
    rarity = np.log1p(
        np.divide(totals.mean(), frequency, out=np.zeros_like(frequency), where=frequency > 0)
    )
    weights: npt.NDArray[np.float64] = share * rarity
    return weights


def key_phrases(
    texts: Mapping[str, Sequence[Sequence[str]]], wanted: int = 8
) -> dict[str, KeyPhrases]:
    """Find what is frequent in each class's texts and rare in the others'.

    Weights are those of `class_tf_idf`, a fifth more for each word after the first, because longer
    phrases say more. Of two phrases of which one contains the other, or which share two words, only
    the better is kept; so is that of singular and plural. Phrases in fewer than two texts of a
    class, and those that weigh less than a tenth of the best, are left out.

    Parameters
    ----------
    texts : mapping from class to texts
        Classes are told apart from each other: give the clusters that stand side by side.
    wanted : int
        Phrases at most.

    Returns
    -------
    mapping from class to KeyPhrases
        In the order given; ties by alphabet. A class may have no phrase at all.

    Examples
    --------
    >>> texts = {
    ...     "physics": ["The moment of inertia.", "Moment of inertia and mass."],
    ...     "law": ["The court upheld it.", "A court ruled."],
    ... }
    >>> found = key_phrases({name: [phrases_of(t) for t in part] for name, part in texts.items()})
    >>> found["physics"].phrases, found["law"].phrases
    (('moment of inertia',), ('court',))
    """
    counted = count_phrases(texts)
    weights = class_tf_idf(counted.counts)
    more_words = np.array([len(_words(phrase)) - 1 for phrase in counted.vocabulary])
    weights = weights * (1 + 0.2 * more_words)
    return {
        name: _readable(counted.vocabulary, weights[row], counted.counts[row], wanted)
        for row, name in enumerate(texts)
    }


def _readable(
    vocabulary: Sequence[str],
    weights: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    wanted: int,
) -> KeyPhrases:
    """Choose a class's phrases, best first, without saying a thing twice."""
    candidates = np.flatnonzero(counts >= min(2, counts.max(initial=1)))
    best_first = candidates[np.argsort(-weights[candidates], kind="stable")]
    chosen: list[str] = []
    scores: list[float] = []
    for which in best_first:
        if len(chosen) == wanted or weights[which] < 0.1 * weights[best_first[0]]:
            break
        phrase = _longest_equivalent(int(which), vocabulary, counts, candidates)
        if not any(_same_thing(phrase, other) for other in chosen):
            chosen.append(phrase)
            scores.append(float(weights[which]))
    return KeyPhrases(tuple(chosen), tuple(scores))


def _longest_equivalent(
    which: int,
    vocabulary: Sequence[str],
    counts: npt.NDArray[np.float64],
    candidates: npt.NDArray[np.intp],
) -> str:
    """Return the longest phrase that contains this one and stands in nearly all of its texts.

    So "prisoner" that is nearly always in "prisoner dilemma" is shown as that.
    """
    phrase = vocabulary[which]
    inside = f" {phrase} "
    longer = [
        vocabulary[other]
        for other in candidates
        if counts[other] >= 0.8 * counts[which] and inside in f" {vocabulary[other]} "
    ]
    return max(longer, key=lambda text: (len(text.split()), text), default=phrase)


def _words(phrase: str) -> frozenset[str]:
    """Return a phrase's words in the singular, without those that only link."""
    return frozenset(_stem(word) for word in phrase.split() if word not in _LINKS)


def _same_thing(phrase: str, other: str) -> bool:
    one, two = _words(phrase), _words(other)
    return one <= two or two <= one or len(one & two) >= 2


def _stem(word: str) -> str:
    """Return a word without the ending of the plural: enough to see "mile" in "miles"."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
