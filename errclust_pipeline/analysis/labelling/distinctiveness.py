"""Names that say what is true of their cluster alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from errclust_pipeline.analysis.labelling.key_phrases import content_words

_SAME_NAME = 0.75


def distinctiveness(
    name: str, siblings: Sequence[str], own: Mapping[str, float], others: Mapping[str, float]
) -> float:
    """Return the share of a name's words that are not true of the clusters beside it too.

    A word is true of them too if it stands in one's name, or if it is at least as frequent in the
    texts of one of them as in the cluster's own.

    Parameters
    ----------
    name : str
    siblings : sequence of str
        The names of the clusters beside it.
    own : mapping from word to share
        Share of the cluster's texts that hold a word, by its stem.
    others : mapping from word to share
        The largest share of a cluster beside it.

    Returns
    -------
    float
        0 to 1; 0 for a name without a word that says anything, 1 for any other if there is no
        cluster beside it.
    """
    words = content_words(name)
    if not words:
        return 0.0
    taken = {word for sibling in siblings for word in content_words(sibling)}
    distinct = [
        word
        for word in words
        if word not in taken
        and not (others.get(word, 0.0) > 0 and others.get(word, 0.0) >= own.get(word, 0.0))
    ]
    return len(distinct) / len(words)


def is_nearly_the_same_name(name: str, other: str) -> bool:
    """Whether two names differ by words that say nothing, or share three in four of the others."""
    one, two = content_words(name), content_words(other)
    if not one or not two:
        return name.casefold() == other.casefold()
    return len(one & two) / len(one | two) >= _SAME_NAME
