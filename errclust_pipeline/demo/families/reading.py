"""Small tables to read, and passages with a question to be answered in a required format."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, join_words, pick


@dataclass(frozen=True)
class Table:
    """A table of whole numbers with a name for each row and column."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]

    def lines(self) -> list[str]:
        """Return the table as text: one line for each row, cells separated by bars."""
        head = " | ".join((self.corner, *self.columns))
        body = [
            " | ".join((name, *map(str, values)))
            for name, values in zip(self.rows, self.values, strict=True)
        ]
        return [head, *body]


@dataclass(frozen=True)
class TableCell:
    """The value in one row and column."""

    table: Table
    row: int
    column: int

    def solve(self, bugs: Bugs) -> Working:
        """Find the row, then the column."""
        table = self.table
        read = (self.row + 1) % len(table.rows) if Bug.ROW_BELOW in bugs else self.row
        line = table.lines()[read + 1]
        answer = str(table.values[read][self.column])
        steps = (
            f"The row for {table.rows[self.row]} reads: {line.split(' | ', 1)[1]}.",
            f"Under {table.columns[self.column]} it has {answer}.",
        )
        others = (str(value) for values in table.values for value in values)
        return Working(steps, answer, tuple(value for value in others if value != answer))


@dataclass(frozen=True)
class TableExtreme:
    """The row with the highest or lowest value in a column."""

    table: Table
    column: int
    highest: bool

    def solve(self, bugs: Bugs) -> Working:
        """Search the column and return the row's name."""
        table = self.table
        values = [row[self.column] for row in table.values]
        best = max(values) if self.highest else min(values)
        row = values.index(best)
        if Bug.ROW_BELOW in bugs:
            row = (row + 1) % len(table.rows)
        answer = table.rows[row]
        steps = (
            f"Under {table.columns[self.column]} the values are {', '.join(map(str, values))}.",
            f"The {'highest' if self.highest else 'lowest'} is {best}, in the row of {answer}.",
        )
        return Working(steps, answer, tuple(name for name in table.rows if name != answer))


class Format(Enum):
    """Form in which the items of a list have to be written."""

    CAPITALS_SEMICOLONS = "in capital letters, separated by semicolons"
    CAPITALS_SLASHES = "in capital letters, separated by slashes"
    SMALL_DASHES = "in small letters, joined by dashes"
    BRACKETS = "each in square brackets, with nothing between"

    def apply(self, items: tuple[str, ...]) -> str:
        """Return the items as text in this form."""
        if self is Format.CAPITALS_SEMICOLONS:
            return "; ".join(item.upper() for item in items)
        if self is Format.CAPITALS_SLASHES:
            return "/".join(item.upper() for item in items)
        if self is Format.SMALL_DASHES:
            return "-".join(items)
        return "".join(f"[{item}]" for item in items)


@dataclass(frozen=True)
class FormattedList:
    """The items that a passage names, listed in a format."""

    items: tuple[str, ...]
    format: Format

    def solve(self, bugs: Bugs) -> Working:
        """Collect the items and write them."""
        items = f"The passage names {join_words(self.items)}."
        if Bug.FORMAT_IGNORED in bugs:
            answer = ", ".join(self.items)
            return Working((items, "Now we list them."), answer)
        answer = self.format.apply(self.items)
        wrong = tuple(other.apply(self.items) for other in Format if other is not self.format)
        return Working((items, f"They go {self.format.value}."), answer, wrong)


def _table(rng: random.Random) -> tuple[Table, str]:
    themes = (
        ("Shop", TOWNS, ("bread", "milk", "eggs", "cheese"), "units sold"),
        ("Player", PEOPLE, ("goals", "assists", "fouls", "saves"), "season statistics"),
        ("Town", TOWNS, ("schools", "parks", "bridges", "libraries"), "public facilities"),
        ("Employee", PEOPLE, ("January", "February", "March", "April"), "sales per month"),
        ("Farm", TOWNS, ("cows", "sheep", "goats", "hens"), "livestock"),
    )
    corner, names, columns, subject = rng.choice(themes)
    rows = rng.sample(names, rng.choice((4, 5, 5, 6)))
    kept = rng.sample(columns, 3)
    numbers = rng.sample(range(2, 99), len(rows) * 3)
    values = [tuple(numbers[start : start + 3]) for start in range(0, len(numbers), 3)]
    return Table(corner, tuple(kept), tuple(rows), tuple(values)), subject


def _table_cell(rng: random.Random) -> tuple[str, TableCell]:
    table, subject = _table(rng)
    row, column = rng.randrange(len(table.rows)), rng.randrange(3)
    shown = "\n".join(table.lines())
    name, head = table.rows[row], table.columns[column]
    text = pick(
        rng,
        f"The table shows {subject}.\n{shown}\nWhat is the value for {name} under {head}?",
        f"{shown}\nAccording to the table, which number stands in the row {name} and the column "
        f"{head}?",
        f"Look at this table of {subject}:\n{shown}\nWhat number is given for {head} of {name}?",
    )
    return text, TableCell(table, row, column)


def _table_extreme(rng: random.Random) -> tuple[str, TableExtreme]:
    table, subject = _table(rng)
    column, highest = rng.randrange(3), rng.random() < 0.6
    shown = "\n".join(table.lines())
    size = "highest" if highest else "lowest"
    head, corner = table.columns[column], table.corner.lower()
    text = pick(
        rng,
        f"The table shows {subject}.\n{shown}\nWhich {corner} has the {size} number for {head}?",
        f"{shown}\nAccording to the table, which {corner} has the {size} value in the column "
        f"{head}?",
        f"Look at this table of {subject}:\n{shown}\nName the {corner} with the {size} figure "
        f"under {head}.",
    )
    return text, TableExtreme(table, column, highest)


FOODS = (
    "apples", "bread", "butter", "carrots", "cheese", "eggs", "flour", "garlic", "grapes", "honey",
    "lemons", "milk", "mushrooms", "olives", "onions", "pears", "pepper", "rice", "salt",
    "tomatoes",
)  # fmt: skip


def _formatted_list(rng: random.Random) -> tuple[str, FormattedList]:
    items = tuple(rng.sample(FOODS, rng.choice((3, 4, 5))))
    wanted = rng.choice(tuple(Format))
    person, listed = rng.choice(PEOPLE), join_words(items)
    passage = pick(
        rng,
        f"{person} came home from the market with {listed}, tired but content.",
        f"For the soup, {person} needed {listed}, and nothing else would do.",
        f"On the kitchen table lay {listed}, which {person} had bought that morning.",
        f"{person} wrote a shopping list with {listed} on the back of an envelope.",
    )
    asked = pick(
        rng,
        f"List the foods mentioned, in the order of the text, {wanted.value}.",
        f"Name all foods from the passage in order. Write them {wanted.value}.",
        f"Which foods does the passage name? Keep their order and write them {wanted.value}.",
    )
    opening = pick(rng, "Read the passage. ", "Passage: ", "")
    return f"{opening}{passage} {asked}", FormattedList(items, wanted)


KINDS = (
    Kind("table_cell", "tables", "demo_language", 50, _table_cell),
    Kind("table_extreme", "tables", "demo_language", 45, _table_extreme),
    Kind("formatted_list", "instructions", "demo_language", 50, _formatted_list),
)
