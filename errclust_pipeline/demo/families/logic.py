"""Puzzles about an order, puzzles with a negated question, and syllogisms."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Problem, Working
from errclust_pipeline.demo.wording import join_words, ordinal, people, pick


@dataclass(frozen=True)
class Ranking:
    """The person at a position, from the top, of an order that pairs (higher, lower) determine."""

    pairs: tuple[tuple[str, str], ...]
    mentioned: tuple[str, ...]
    position: int

    def solve(self, bugs: Bugs) -> Working:
        """Sort the people and count from the top."""
        if Bug.MENTION_ORDER in bugs:
            order = list(self.mentioned)
        else:
            below: dict[str, set[str]] = {person: set() for person in self.mentioned}
            for higher, lower in self.pairs:
                below[higher].add(lower)
            order = []
            while len(order) < len(below):
                order.append(
                    next(
                        person
                        for person in below
                        if person not in order
                        and not any(person in below[other] for other in below if other not in order)
                    )
                )
        answer = order[self.position - 1]
        steps = (
            f"From the top, the order is {', '.join(order)}.",
            f"Place {self.position} in it is {answer}.",
        )
        return Working(steps, answer, tuple(person for person in order if person != answer))


@dataclass(frozen=True)
class Negation:
    """The person or thing, out of several, that does not have a property."""

    properties: tuple[tuple[str, str], ...]
    asked: str

    def solve(self, bugs: Bugs) -> Working:
        """Go through all of them and keep the one that fits."""
        keep_same = Bug.NOT_IGNORED in bugs
        fitting = [name for name, value in self.properties if (value == self.asked) is keep_same]
        steps = [f"{name}: {value}." for name, value in self.properties]
        steps.append(f"We look at {self.asked}, so the one to name is {fitting[0]}.")
        others = tuple(name for name, _ in self.properties if name != fitting[0])
        return Working(tuple(steps), fitting[0], others)


@dataclass(frozen=True)
class Syllogism:
    """Whether a conclusion about the first and the last group of a chain follows.

    All members of each group are members of the next. The conclusion is that all of the first
    group are in the last one or, if `converse`, that all of the last are in the first.
    """

    groups: tuple[str, ...]
    converse: bool

    def solve(self, bugs: Bugs) -> Working:
        """Say yes if the premises lead from the first group to the last in the right direction."""
        given = [f"All {narrow} are {wide}." for narrow, wide in pairwise(self.groups)]
        first, last = self.groups[0], self.groups[-1]
        if not self.converse:
            steps = (*given, f"So whatever is in {first} is in {last} too.")
            return Working(steps, "yes", ("no",))
        if Bug.CONVERSE_ACCEPTED in bugs:
            steps = (*given, f"So {first} and {last} are the same, and all {last} are {first}.")
            return Working(steps, "yes", ("no",))
        steps = (*given, f"There may be {last} that are not {first}.")
        return Working(steps, "no", ("yes",))


def _ranking(rng: random.Random, higher: str, lower: str) -> tuple[str, Ranking, int]:
    order = people(rng, rng.choice((4, 5)))
    pairs = list(pairwise(order))
    rng.shuffle(pairs)
    sentences, mentioned = [], []
    for top, bottom in pairs:
        turned = rng.random() < 0.5
        first, second = (bottom, top) if turned else (top, bottom)
        sentences.append(f"{first} {lower if turned else higher} {second}.")
        mentioned += [name for name in (first, second) if name not in mentioned]
    position = rng.randrange(1, len(order) + 1)
    return " ".join(sentences), Ranking(tuple(pairs), tuple(mentioned), position), len(order)


def _height_order(rng: random.Random) -> tuple[str, Ranking]:
    facts, problem, count = _ranking(rng, "is taller than", "is shorter than")
    if problem.position == 1:
        asked = "Who is the tallest?"
    elif problem.position == count:
        asked = "Who is the shortest?"
    else:
        asked = f"Counting from the tallest, who is the {ordinal(problem.position)} tallest?"
    opening = pick(
        rng, "", f"{count} children stand side by side. ", "Some friends compare heights. "
    )
    return f"{opening}{facts} {asked}", problem


def _race(rng: random.Random) -> tuple[str, Ranking]:
    facts, problem, count = _ranking(rng, "finished before", "finished after")
    if problem.position == 1:
        asked = pick(rng, "Who won the race?", "Who came first?")
    elif problem.position == count:
        asked = pick(rng, "Who came last?", "Who finished last in the race?")
    else:
        asked = f"Who came {ordinal(problem.position)} in the race?"
    opening = pick(
        rng,
        f"In a race with {count} runners, ",
        f"{count} runners took part in a marathon. ",
        "At the end of a swimming race: ",
        "These are the results of a bicycle race: ",
    )
    return f"{opening}{facts} {asked}", problem


HOBBIES = ("hiking", "chess", "painting", "sailing", "dancing", "gardening", "fishing", "pottery")
CLASSES = {
    "a mammal": ("dog", "horse", "whale", "bat", "rabbit", "dolphin", "mouse", "elephant", "deer"),
    "a bird": ("eagle", "penguin", "sparrow", "owl", "ostrich", "crow", "stork", "duck", "robin"),
    "a fish": ("trout", "salmon", "shark", "tuna", "eel", "carp", "herring", "pike", "cod"),
    "an insect": ("ant", "beetle", "bee", "moth", "wasp", "cricket", "mosquito", "ladybird"),
}


def _negation(rng: random.Random) -> tuple[str, Negation]:
    if rng.random() < 0.35:
        asked, other = rng.sample(list(CLASSES), 2)
        values = [*rng.sample(CLASSES[asked], 3), rng.choice(CLASSES[other])]
        properties = [(name, asked) for name in values[:3]] + [(values[3], other)]
        rng.shuffle(properties)
        listed = join_words([name for name, _ in properties], "or")
        text = pick(
            rng,
            f"Which of these animals is not {asked}: {listed}?",
            f"One of these animals is not {asked}. Which one: {listed}?",
        )
        return text, Negation(tuple(properties), asked)
    group = people(rng, rng.choice((3, 4, 5)))
    asked, other = rng.sample(HOBBIES, 2)
    odd = rng.choice(group)
    properties = [(name, other if name == odd else asked) for name in group]
    facts = " ".join(
        f"{name} {rng.choice(('enjoys', 'likes', 'spends weekends on'))} {hobby}."
        for name, hobby in properties
    )
    text = pick(
        rng,
        f"{facts} Nobody has a second hobby. Who does not like {asked}?",
        f"In a group of friends everybody has exactly one hobby. {facts} Who is not interested in "
        f"{asked}?",
        f"{facts} Everyone named has only this one hobby. Whose hobby is not {asked}?",
    )
    return text, Negation(tuple(properties), asked)


GROUPS = (
    "poets", "painters", "dreamers", "sailors", "gardeners", "blickets", "wugs", "zorbs", "dax",
    "teachers", "musicians", "travellers", "florps", "runners", "early risers", "vegetarians",
    "engineers", "optimists", "tea drinkers", "collectors", "swimmers", "cat owners",
)  # fmt: skip


def _syllogism(rng: random.Random) -> tuple[str, Problem]:
    groups = rng.sample(GROUPS, rng.choice((2, 3)))
    converse = rng.random() < 0.62
    given = " ".join(f"All {narrow} are {wide}." for narrow, wide in pairwise(groups))
    first, last = (groups[-1], groups[0]) if converse else (groups[0], groups[-1])
    text = pick(
        rng,
        f"{given} Does it follow that all {first} are {last}? Answer yes or no.",
        f"Suppose the following is true. {given} Is the conclusion 'all {first} are {last}' "
        "logically valid? Answer yes or no.",
        f"Premises: {given} Conclusion: All {first} are {last}. Does the conclusion follow from "
        "the premises? Answer yes or no.",
        f"{given} Can we conclude for certain that every one of the {first} belongs to the {last}? "
        "Answer yes or no.",
    )
    return text, Syllogism(tuple(groups), converse)


KINDS = (
    Kind("height_order", "ordering", "demo_language", 45, _height_order),
    Kind("race", "ordering", "demo_language", 35, _race),
    Kind("negation", "logic", "demo_language", 55, _negation),
    Kind("syllogism", "logic", "demo_language", 50, _syllogism),
)
