"""Letters and words: reversing, counting, picking, sorting, anagrams."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import groupby

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import WORDS, join_words, ordinal, people, pick


def pieces_of(word: str) -> list[str]:
    """Return a word in pieces of three letters."""
    return [word[start : start + 3] for start in range(0, len(word), 3)]


@dataclass(frozen=True)
class Reversal:
    """A word, backwards."""

    word: str

    def solve(self, bugs: Bugs) -> Working:
        """Take the parts of the word from the end."""
        parts = pieces_of(self.word) if Bug.PIECES_OF_THREE in bugs else list(self.word)
        answer = "".join(reversed(parts))
        steps = (
            f"Taken apart, the word is {' | '.join(parts)}.",
            f"From the end that reads {' | '.join(reversed(parts))}.",
        )
        return Working(steps, answer)


@dataclass(frozen=True)
class EverySecondLetter:
    """The first, third, fifth, … letters of a word."""

    word: str

    def solve(self, bugs: Bugs) -> Working:
        """Take every second letter, from the first on."""
        parts = pieces_of(self.word) if Bug.PIECES_OF_THREE in bugs else [self.word]
        kept = [part[::2] for part in parts]
        steps = (
            f"Start with {' | '.join(parts)}.",
            f"Keeping one and skipping one leaves {' | '.join(kept)}.",
        )
        return Working(steps, "".join(kept))


@dataclass(frozen=True)
class LetterCount:
    """The number of times that a letter occurs in a word."""

    word: str
    letter: str

    def solve(self, bugs: Bugs) -> Working:
        """Spell the word and count."""
        runs = ["".join(run) for _, run in groupby(self.word)]
        units = runs if Bug.DOUBLES_COUNTED_ONCE in bugs else list(self.word)
        places = [place for place, unit in enumerate(units, 1) if unit[0] == self.letter]
        steps = (
            f"Spelled out: {'-'.join(units)}.",
            f"'{self.letter}' stands at {join_words([str(place) for place in places])}.",
        )
        return Working(steps, str(len(places)))


@dataclass(frozen=True)
class AlphabeticalOrder:
    """The word at a position of an alphabetical list of words in mixed case."""

    words: tuple[str, ...]
    position: int

    def solve(self, bugs: Bugs) -> Working:
        """Sort, ignoring case, and count."""
        order = sorted(self.words, key=None if Bug.CAPITALS_FIRST in bugs else str.lower)
        answer = order[self.position - 1]
        steps = (
            f"Sorted: {', '.join(order)}.",
            f"Number {self.position} of these is {answer}.",
        )
        return Working(steps, answer, tuple(word for word in self.words if word != answer))


@dataclass(frozen=True)
class Anagram:
    """The word, out of several, that has the same letters as a scrambled text."""

    scrambled: str
    words: tuple[str, ...]

    def solve(self, bugs: Bugs) -> Working:  # noqa: ARG002
        """Sort the letters of each and compare."""
        wanted = sorted(self.scrambled)
        answer = next(word for word in self.words if sorted(word) == wanted)
        steps = (
            f"In order the letters are {'-'.join(wanted)}.",
            f"Of the words given, {answer} has these letters.",
        )
        return Working(steps, answer, tuple(word for word in self.words if word != answer))


def _reversal(rng: random.Random) -> tuple[str, Reversal]:
    word = rng.choice([word for word in WORDS if len(word) >= 6])
    text = pick(
        rng,
        f"Write the word '{word}' backwards.",
        f"Reverse the letters of the word '{word}'.",
        f"What do you get if you spell '{word}' from the last letter to the first?",
        f"Spell the word '{word}' in reverse order, without spaces.",
        f"If you read the word '{word}' from right to left, what does it say?",
    )
    return text, Reversal(word)


def _every_second_letter(rng: random.Random) -> tuple[str, EverySecondLetter]:
    word = rng.choice([word for word in WORDS if len(word) >= 6])
    text = pick(
        rng,
        f"Take every second letter of the word '{word}', beginning with the first letter. What do "
        "you get?",
        f"Write only the first, third, fifth and so on letters of the word '{word}'.",
        f"Keep the first letter of '{word}', skip the next letter, and go on keeping every other "
        "letter. Which letters remain?",
        f"A secret message hides in every second letter of '{word}', starting from the first "
        "letter. What is it?",
    )
    return text, EverySecondLetter(word)


def _letter_count(rng: random.Random) -> tuple[str, LetterCount]:
    word = rng.choice(WORDS)
    doubled = [letter for letter in sorted(set(word)) if letter * 2 in word]
    letter = rng.choice(doubled if doubled and rng.random() < 0.85 else word)
    text = pick(
        rng,
        f"How many times does the letter '{letter}' occur in the word '{word}'?",
        f"Count the letter '{letter}' in '{word}'. How many are there?",
        f"How many '{letter}'s are in the word '{word}'?",
        f"If you spell '{word}', how often do you use the letter '{letter}'?",
    )
    return text, LetterCount(word, letter)


def _alphabetical_order(rng: random.Random) -> tuple[str, AlphabeticalOrder]:
    count = rng.choice((5, 6))
    names = people(rng, count // 2)
    words = names + rng.sample(WORDS, count - len(names))
    rng.shuffle(words)
    position = rng.randrange(1, count + 1)
    listed = join_words(words)
    where = "last" if position == count else ordinal(position)
    text = pick(
        rng,
        f"Sort these words alphabetically, ignoring capital letters: {listed}. Which word comes "
        f"{where}?",
        f"If {listed} are put in alphabetical order without regard to upper or lower case, which "
        f"is the {where} word?",
        f"An index lists the entries {listed} in alphabetical order, whether capitalised or not. "
        f"Which entry stands {where}?",
    )
    return text, AlphabeticalOrder(tuple(words), position)


def _anagram(rng: random.Random) -> tuple[str, Anagram]:
    words = rng.sample([word for word in WORDS if 6 <= len(word) <= 9], 4)
    letters = list(words[0])
    while "".join(letters) in words:
        rng.shuffle(letters)
    scrambled = "".join(letters)
    rng.shuffle(words)
    listed = join_words(words, "or")
    text = pick(
        rng,
        f"Unscramble the letters '{scrambled}'. Which word is it: {listed}?",
        f"'{scrambled}' is an anagram of one of these words: {listed}. Which one?",
        f"The letters '{scrambled}' can be rearranged into an English word. Is it {listed}?",
        f"Solve the anagram '{scrambled}'. The possible answers are {listed}.",
    )
    return text, Anagram(scrambled, tuple(words))


KINDS = (
    Kind("reversal", "strings", "demo_language", 45, _reversal),
    Kind("every_second_letter", "strings", "demo_language", 40, _every_second_letter),
    Kind("letter_count", "strings", "demo_language", 50, _letter_count),
    Kind("alphabetical_order", "sorting", "demo_language", 50, _alphabetical_order),
    Kind("anagram", "sorting", "demo_language", 50, _anagram),
)
