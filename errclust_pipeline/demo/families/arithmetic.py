"""Addition, subtraction and multiplication of whole numbers, and counting from first to last."""

from __future__ import annotations

import random
from dataclasses import dataclass

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, pick

COLUMNS = ("ones", "tens", "hundreds", "thousands", "ten thousands", "hundred thousands")


def column_sum(first: int, second: int, bugs: Bugs) -> tuple[int, list[str]]:
    """Add in columns from the right, and return the sum and a line for each column."""
    total, carry, lines = 0, 0, []
    columns = max(len(str(first)), len(str(second)))
    for column in range(columns):
        left, right = (number // 10**column % 10 for number in (first, second))
        result = left + right + carry
        lines.append(
            f"{COLUMNS[column].capitalize()}: {left} + {right}"
            + (f" + {carry}" if carry else "")
            + f" = {result}, write {result % 10}."
        )
        total += result % 10 * 10**column
        carry = result // 10
        if column >= 1 and Bug.CARRY_DROPPED in bugs:
            carry = 0
    return total + carry * 10**columns, lines


def column_difference(first: int, second: int, bugs: Bugs) -> tuple[int, list[str]]:
    """Subtract in columns from the right, and return the difference and a line for each column.

    `first` is the larger number.
    """
    total, borrow, lines = 0, 0, []
    for column in range(len(str(first))):
        left, right = (number // 10**column % 10 for number in (first, second))
        name = COLUMNS[column].capitalize()
        if Bug.BORROW_FORGOTTEN in bugs:
            digit = abs(left - right)
            lines.append(f"{name}: {max(left, right)} - {min(left, right)} = {digit}.")
        else:
            left -= borrow
            borrow = int(left < right)
            digit = left + 10 * borrow - right
            lines.append(f"{name}: {left + 10 * borrow} - {right} = {digit}.")
        total += digit * 10**column
    return total, lines


@dataclass(frozen=True)
class Addition:
    """A sum of two large numbers."""

    first: int
    second: int

    def solve(self, bugs: Bugs) -> Working:
        """Add column by column."""
        total, lines = column_sum(self.first, self.second, bugs)
        return Working((f"We need {self.first} + {self.second}.", *lines), str(total))


@dataclass(frozen=True)
class Subtraction:
    """A difference between a larger and a smaller number."""

    first: int
    second: int

    def solve(self, bugs: Bugs) -> Working:
        """Subtract column by column."""
        total, lines = column_difference(self.first, self.second, bugs)
        return Working((f"We need {self.first} - {self.second}.", *lines), str(total))


@dataclass(frozen=True)
class Multiplication:
    """A product of a number and a two-digit number."""

    first: int
    second: int

    def solve(self, bugs: Bugs) -> Working:
        """Multiply by the ones and by the tens, and add."""
        tens, ones = divmod(self.second, 10)
        shift = 1 if Bug.PARTIAL_PRODUCT_UNSHIFTED in bugs else 10
        low, high = self.first * ones, self.first * tens * shift
        steps = (
            f"We need {self.first} × {self.second}.",
            f"By the ones: {self.first} × {ones} = {low}.",
            f"By the tens: {self.first} × {tens * shift} = {high}."
            if shift == 10
            else f"By the tens: {self.first} × {tens} = {high}.",
            f"Together: {low} + {high} = {low + high}.",
        )
        return Working(steps, str(low + high))


@dataclass(frozen=True)
class InclusiveRange:
    """The count of numbers from first to last, both included."""

    first: int
    last: int

    def solve(self, bugs: Bugs) -> Working:
        """Subtract the first number from the last, and add 1."""
        difference = self.last - self.first
        steps = [f"{self.last} - {self.first} = {difference}."]
        if Bug.FENCE_POST in bugs:
            return Working((*steps, f"So there are {difference} of them."), str(difference))
        steps.append(f"Both ends count, so there are {difference} + 1 = {difference + 1}.")
        return Working(tuple(steps), str(difference + 1))


def _addition(rng: random.Random) -> tuple[str, Addition]:
    digits = rng.choice((4, 5, 5))
    first, second = (rng.randrange(10 ** (digits - 1), 10**digits) for _ in range(2))
    town, other = rng.sample(TOWNS, 2)
    day, next_day = rng.choice((("Friday", "Saturday"), ("Saturday", "Sunday")))
    text = pick(
        rng,
        f"The football stadium in {town} had {first} spectators on {day} and {second} spectators "
        f"on {next_day}. What was the total attendance over both days?",
        f"A music festival sold {first} tickets in advance and {second} tickets at the gate. What "
        "is the total attendance of the festival?",
        f"In an election, {first} people voted in {town} and {second} people voted in {other}. "
        "What is the total of the votes cast in the two towns?",
        f"{first} visitors came to the {town} museum in spring and {second} visitors came in "
        "summer. Add the two to find the total number of visitors.",
        f"A concert arena counted {first} fans at the north entrance and {second} fans at the "
        "south entrance. What was the total crowd?",
        f"The zoo at {town} welcomed {first} visitors last year, and the aquarium at {other} "
        f"welcomed {second}. What is the sum of both visitor numbers?",
    )
    return text, Addition(first, second)


def _subtraction(rng: random.Random) -> tuple[str, Subtraction]:
    digits = rng.choice((4, 4, 5))
    first = rng.randrange(4 * 10 ** (digits - 1), 10**digits)
    second = rng.randrange(10 ** (digits - 1), first - 100)
    town, person = rng.choice(TOWNS), rng.choice(PEOPLE)
    goods = pick(rng, "bricks", "bottles", "roof tiles", "light bulbs", "bags of cement")
    text = pick(
        rng,
        f"A warehouse had {first} {goods} in stock. After {second} {goods} were shipped, how many "
        "were left in the warehouse?",
        f"The depot in {town} stored {first} {goods}. A lorry took away {second} of them. How many "
        f"{goods} remain in the depot?",
        f"A factory made {first} {goods}, but {second} of them have already left the store. How "
        "many are still in stock?",
        f"{person} manages a storeroom with {first} {goods}. If {second} are delivered to "
        "customers, how many remain?",
        f"Out of {first} {goods} in the supplier's stock, {second} were found broken and thrown "
        "away. How many usable ones are left?",
    )
    return text, Subtraction(first, second)


def _multiplication(rng: random.Random) -> tuple[str, Multiplication]:
    first, second = rng.randrange(102, 989), rng.randrange(12, 98)
    person = rng.choice(PEOPLE)
    text = pick(
        rng,
        f"A theatre has {second} rows with {first} seats in each row. How many seats are there "
        "altogether?",
        f"What is {first} multiplied by {second}?",
        f"Each crate holds {first} oranges. How many oranges are there in {second} crates?",
        f"{person} plants {second} rows of {first} seedlings each. How many seedlings does "
        f"{person} plant?",
        f"Calculate the product of {first} and {second}.",
        f"A printer puts {first} sheets in every box. How many sheets are in {second} boxes?",
        f"A tiled floor has {second} rows of tiles and each row has {first} tiles. Multiply to "
        "find the number of tiles.",
    )
    return text, Multiplication(first, second)


def _inclusive_range(rng: random.Random) -> tuple[str, InclusiveRange]:
    first = rng.randrange(8, 180)
    last = first + rng.randrange(11, 140)
    person = rng.choice(PEOPLE)
    text = pick(
        rng,
        f"{person} reads a book from the top of page {first} to the bottom of page {last}. How "
        "many pages is that?",
        f"For homework the class must read pages {first} through {last}, including both. How many "
        "pages must they read?",
        f"{person} numbered the pages of a notebook and tore out pages numbered {first} to "
        f"{last} inclusive. How many numbered pages were torn out?",
        f"A chapter of the novel starts on page {first} and ends on page {last}. How many pages "
        "does the chapter have?",
        f"Raffle tickets numbered {first} to {last} inclusive were sold. How many numbered tickets "
        "is that?",
        f"The exercises in the textbook are numbered. {person} solves number {first} up to and "
        f"including number {last}. How many exercises is that?",
    )
    return text, InclusiveRange(first, last)


KINDS = (
    Kind("addition", "arithmetic", "demo_numbers", 50, _addition),
    Kind("subtraction", "arithmetic", "demo_numbers", 50, _subtraction),
    Kind("multiplication", "arithmetic", "demo_numbers", 45, _multiplication),
    Kind("inclusive_range", "counting", "demo_numbers", 45, _inclusive_range),
)
