"""Percentages of prices and values, shared bills, wages and bank accounts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.families.arithmetic import column_difference, column_sum
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, amount, join_words, people, pick

GOODS = ("jacket", "bicycle", "sofa", "camera", "guitar", "lamp", "tent", "watch", "desk", "rug")


@dataclass(frozen=True)
class Discount:
    """A price after a discount."""

    price: int
    percent: int

    def solve(self, bugs: Bugs) -> Working:  # noqa: ARG002
        """Take the percentage off."""
        off = Fraction(self.price * self.percent, 100)
        steps = (
            f"{self.percent} % of {self.price} is {amount(off)}.",
            f"{self.price} - {amount(off)} = {amount(self.price - off)}.",
        )
        return Working(steps, amount(self.price - off))


@dataclass(frozen=True)
class SuccessivePercentages:
    """A value after two changes by a percentage; a negative percentage is a decrease."""

    value: int
    first: int
    second: int

    def solve(self, bugs: Bugs) -> Working:
        """Apply one percentage after the other."""
        if Bug.DISCOUNTS_ADDED in bugs:
            change = self.first + self.second
            result = self.value * Fraction(100 + change, 100)
            steps = (
                f"Together the changes are {self.first:+d} % {self.second:+d} % = {change:+d} %.",
                f"{self.value} × {100 + change} / 100 = {amount(result)}.",
            )
            return Working(steps, amount(result))
        middle = self.value * Fraction(100 + self.first, 100)
        result = middle * Fraction(100 + self.second, 100)
        steps = (
            f"After the first change: {self.value} × {100 + self.first} / 100 = {amount(middle)}.",
            f"After the second: {amount(middle)} × {100 + self.second} / 100 = {amount(result)}.",
        )
        return Working(steps, amount(result))


@dataclass(frozen=True)
class OriginalValue:
    """The value before a change by a percentage."""

    original: int
    percent: int

    def solve(self, bugs: Bugs) -> Working:
        """Divide by the factor of the change."""
        final = self.original * Fraction(100 + self.percent, 100)
        if Bug.WRONG_BASE in bugs:
            back = final * Fraction(abs(self.percent), 100)
            result = final - back if self.percent > 0 else final + back
            sign = "-" if self.percent > 0 else "+"
            steps = (
                f"{abs(self.percent)} % of {amount(final)} is {amount(back)}.",
                f"{amount(final)} {sign} {amount(back)} = {amount(result)}.",
            )
            return Working(steps, amount(result))
        steps = (
            f"{amount(final)} is {100 + self.percent} % of the original.",
            f"{amount(final)} × 100 / {100 + self.percent} = {self.original}.",
        )
        return Working(steps, str(self.original))


@dataclass(frozen=True)
class SharedBill:
    """One person's part of a bill with a tip."""

    bill: int
    tip: int
    friends: int

    def solve(self, bugs: Bugs) -> Working:  # noqa: ARG002
        """Add the tip and divide by everyone present."""
        total, everyone = self.bill + self.tip, self.friends + 1
        share = Fraction(total, everyone)
        steps = (
            f"The total is {self.bill} + {self.tip} = {total}.",
            f"{everyone} people share it: {total} ÷ {everyone} = {amount(share)}.",
        )
        return Working(steps, amount(share))


@dataclass(frozen=True)
class Wages:
    """Wages for hours of work, with overtime at 1.5 times the rate."""

    hours: int
    rate: int
    regular: int

    def solve(self, bugs: Bugs) -> Working:  # noqa: ARG002
        """Pay the regular hours and the overtime."""
        regular = min(self.hours, self.regular)
        overtime = self.hours - regular
        base, extra = regular * self.rate, overtime * self.rate * Fraction(3, 2)
        steps = (
            f"Regular pay: {regular} × {self.rate} = {base}.",
            f"Overtime: {overtime} × {amount(self.rate * Fraction(3, 2))} = {amount(extra)}.",
            f"Together: {amount(base + extra)}.",
        )
        return Working(steps, amount(base + extra))


@dataclass(frozen=True)
class BankAccount:
    """The final balance after deposits (positive) and withdrawals (negative)."""

    opening: int
    movements: tuple[int, ...]

    def solve(self, bugs: Bugs) -> Working:
        """Update the balance with each movement."""
        balance, steps = self.opening, [f"The account opens with {self.opening}."]
        for movement in self.movements:
            if movement > 0:
                result, lines = column_sum(balance, movement, bugs)
                steps.append(f"{balance} + {movement}: {' '.join(lines)} Balance {result}.")
            else:
                high, low = max(balance, -movement), min(balance, -movement)
                result, lines = column_difference(high, low, bugs)
                steps.append(f"{balance} - {-movement}: {' '.join(lines)} Balance {result}.")
            balance = result
        return Working(tuple(steps), str(balance))


def _discount(rng: random.Random) -> tuple[str, Discount]:
    price, percent = rng.randrange(20, 900, 5), rng.choice((5, 10, 15, 20, 25, 30, 35, 40))
    goods, person = rng.choice(GOODS), rng.choice(PEOPLE)
    text = pick(
        rng,
        f"A {goods} costs ${price}. In the sale it is {percent} % off. What is the sale price in "
        "dollars?",
        f"{person} has a coupon for {percent} % off a {goods} priced at ${price}. How many dollars "
        f"does {person} pay?",
        f"The shop lowers the price of a {goods} from ${price} by {percent} %. What is the new "
        "price in dollars?",
        f"Members get a discount of {percent} %. How many dollars does a member pay for a {goods} "
        f"marked ${price}?",
    )
    return text, Discount(price, percent)


def _successive_percentages(rng: random.Random) -> tuple[str, SuccessivePercentages]:
    value = rng.randrange(200, 9900, 100)
    first, second = (rng.choice((5, 10, 15, 20, 25, 30, 40)) for _ in range(2))
    town, goods = rng.choice(TOWNS), rng.choice(GOODS)
    falling = rng.random() < 0.5
    if falling:
        text = pick(
            rng,
            f"A {goods} worth ${value} is reduced by {first} % and, a week later, by a further "
            f"{second} % of the reduced price. What does it cost in the end, in dollars?",
            f"The value of a machine bought for ${value} drops by {first} % in the first year and "
            f"by another {second} % in the second year. What is it worth after two years, in "
            "dollars?",
            f"A population of {value} birds shrinks by {first} % in one year and then by {second} "
            "% in the next year. How many birds are expected after two years?",
        )
        first, second = -first, -second
    else:
        text = pick(
            rng,
            f"The population of {town} was {value}. It grew by {first} % in the first year and by "
            f"{second} % in the second year. What was it after the two years?",
            f"An investment of ${value} rises by {first} % in the first year and {second} % in the "
            "second year. What is it worth after two years, in dollars?",
            f"A rent of ${value} is raised by {first} % one year and by {second} % the year after. "
            "What is it after both increases, in dollars?",
        )
    return text, SuccessivePercentages(value, first, second)


def _original_value(rng: random.Random) -> tuple[str, OriginalValue]:
    original = rng.randrange(40, 2000, 20)
    percent = rng.choice((5, 10, 15, 20, 25, 30, 40))
    goods, person = rng.choice(GOODS), rng.choice(PEOPLE)
    falling = rng.random() < 0.6
    final = amount(original * Fraction(100 - percent if falling else 100 + percent, 100))
    if falling:
        text = pick(
            rng,
            f"After a {percent} % discount, a {goods} costs ${final}. What was its original price "
            "in dollars?",
            f"{person} paid ${final} for a {goods}, which was {percent} % less than the original "
            "price. What was the price before the reduction, in dollars?",
            f"The price of a {goods} was cut by {percent} % and is now ${final}. How many dollars "
            "did it cost originally?",
        )
    else:
        text = pick(
            rng,
            f"The price of a {goods} rose by {percent} % and is now ${final}. What was the "
            "original price before the rise, in dollars?",
            f"Including {percent} % tax, {person} paid ${final} for a {goods}. What was the "
            "original price before tax, in dollars?",
            f"A {goods} now costs ${final}, {percent} % more than originally. What did it cost "
            "before, in dollars?",
        )
    return text, OriginalValue(original, -percent if falling else percent)


def _shared_bill(rng: random.Random) -> tuple[str, SharedBill]:
    friends, tip = rng.randrange(2, 8), rng.randrange(4, 20)
    bill = (friends + 1) * rng.randrange(9, 38) - tip
    person, meal = rng.choice(PEOPLE), pick(rng, "dinner", "lunch", "pizza", "brunch")
    text = pick(
        rng,
        f"{person} and {friends} friends go out for {meal}. The bill is ${bill} and they add a tip "
        f"of ${tip}. If they share equally, how many dollars does each pay?",
        f"The restaurant bill for {meal} comes to ${bill}. {person} and {friends} friends leave a "
        f"tip of ${tip} on top and split everything equally. What is each share in dollars?",
        f"{person} invites {friends} colleagues to {meal}, and all of them, {person} included, "
        f"split the ${bill} bill and a ${tip} tip evenly. How many dollars is that each?",
    )
    return text, SharedBill(bill, tip, friends)


def _wages(rng: random.Random) -> tuple[str, Wages]:
    regular = rng.choice((35, 38, 40))
    hours, rate = regular + rng.randrange(2, 15), rng.randrange(12, 40, 2)
    person = rng.choice(PEOPLE)
    job = pick(rng, "nurse", "mechanic", "baker", "electrician", "waiter", "welder")
    text = pick(
        rng,
        f"{person} works as a {job} for ${rate} an hour. Hours beyond {regular} are paid one and a "
        f"half times. What are the wages in dollars for a week of {hours} hours?",
        f"A {job} earns ${rate} per hour for the first {regular} hours of a week and time and a "
        f"half for overtime. How many dollars does the {job} earn for {hours} hours?",
        f"{person}'s hourly wage is ${rate}, with 1.5 times the wage for overtime above {regular} "
        f"hours a week. {person} worked {hours} hours. What is the weekly pay in dollars?",
    )
    return text, Wages(hours, rate, regular)


def _bank_account(rng: random.Random) -> tuple[str, BankAccount]:
    opening = rng.randrange(2100, 6900)
    balance, movements = opening, []
    for _ in range(rng.randrange(3, 7)):
        movement = rng.randrange(150, 1900)
        if rng.random() < 0.5 and movement < balance - 200:
            movement = -movement
        movements.append(movement)
        balance += movement
    person = people(rng, 1)[0]
    listed = join_words(
        [
            rng.choice(("a deposit of ", "a payment received of ")) + f"${movement}"
            if movement > 0
            else rng.choice(("a withdrawal of ", "a card payment of ")) + f"${-movement}"
            for movement in movements
        ]
    )
    text = pick(
        rng,
        f"{person}'s bank account has a balance of ${opening}. Then there are, in this order, "
        f"{listed}. What is the final balance in dollars?",
        f"A savings account opens with ${opening}. The bank statement lists {listed}. What is the "
        "closing balance in dollars?",
        f"{person} starts the month with ${opening} in the bank. The account then sees {listed}. "
        "How many dollars are in the account at the end?",
    )
    return text, BankAccount(opening, tuple(movements))


KINDS = (
    Kind("discount", "percentages", "demo_numbers", 35, _discount),
    Kind("successive_percentages", "percentages", "demo_numbers", 45, _successive_percentages),
    Kind("original_value", "percentages", "demo_numbers", 45, _original_value),
    Kind("shared_bill", "money", "demo_numbers", 30, _shared_bill),
    Kind("wages", "money", "demo_numbers", 30, _wages),
    Kind("bank_account", "money", "demo_numbers", 50, _bank_account),
)
