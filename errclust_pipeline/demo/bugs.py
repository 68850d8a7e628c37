"""The bugs that simulated models can have: what each does, and which kinds of question it affects.

This module only names them. Faulty reasoning is implemented in the `solve` methods of `families`;
faulty behaviour (refusing, looping, stopping early) in `models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import StrEnum


class Bug(StrEnum):
    """A systematic error of a simulated model."""

    CARRY_DROPPED = "carry_dropped"
    BORROW_FORGOTTEN = "borrow_forgotten"
    PARTIAL_PRODUCT_UNSHIFTED = "partial_product_unshifted"
    FENCE_POST = "fence_post"
    SHORT_MILE = "short_mile"
    ROUND_POUND = "round_pound"
    TEMPERATURE_ORDER = "temperature_order"
    THIRTY_DAY_MONTHS = "thirty_day_months"
    LEAP_DAY_IGNORED = "leap_day_ignored"
    HUNDRED_MINUTE_HOUR = "hundred_minute_hour"
    NOON_IGNORED = "noon_ignored"
    DISCOUNTS_ADDED = "discounts_added"
    WRONG_BASE = "wrong_base"
    AREA_FOR_PERIMETER = "area_for_perimeter"
    MEDIAN_UNSORTED = "median_unsorted"
    MENTION_ORDER = "mention_order"
    NOT_IGNORED = "not_ignored"
    CONVERSE_ACCEPTED = "converse_accepted"
    PIECES_OF_THREE = "pieces_of_three"
    DOUBLES_COUNTED_ONCE = "doubles_counted_once"
    CAPITALS_FIRST = "capitals_first"
    ROW_BELOW = "row_below"
    FORMAT_IGNORED = "format_ignored"
    CUT_OFF = "cut_off"
    LINE_LOOP = "line_loop"
    REFUSES_MEDICINE = "refuses_medicine"
    REFUSES_HAZARDS = "refuses_hazards"
    EMPTY_RESPONSE = "empty_response"
    NO_FINAL_ANSWER = "no_final_answer"


Bugs = Set[Bug]
"""The bugs that are active while a question is answered, as a `frozenset` of `Bug`."""

NO_BUGS: frozenset[Bug] = frozenset()
SLIP = "slip"
"""Cause of a wrong answer that no bug explains: an isolated, random mistake."""


@dataclass(frozen=True)
class BugDescription:
    """What a bug does, and the kinds of question whose answers it can change."""

    does: str
    kinds: tuple[str, ...]


BUG_DESCRIPTIONS: Mapping[Bug, BugDescription] = {
    Bug.CARRY_DROPPED: BugDescription(
        "adds in columns but loses every carry out of the second column and beyond",
        ("addition", "bank_account"),
    ),
    Bug.BORROW_FORGOTTEN: BugDescription(
        "subtracts the smaller digit from the larger in each column instead of borrowing",
        ("subtraction", "bank_account"),
    ),
    Bug.PARTIAL_PRODUCT_UNSHIFTED: BugDescription(
        "adds the tens' partial product without shifting it one place to the left",
        ("multiplication",),
    ),
    Bug.FENCE_POST: BugDescription(
        "counts from first to last as last minus first, one too few", ("inclusive_range",)
    ),
    Bug.SHORT_MILE: BugDescription("takes a mile for 1.5 kilometres", ("length",)),
    Bug.ROUND_POUND: BugDescription("takes a pound for half a kilogram", ("mass",)),
    Bug.TEMPERATURE_ORDER: BugDescription(
        "does the two steps between Celsius and Fahrenheit in the wrong order", ("temperature",)
    ),
    Bug.THIRTY_DAY_MONTHS: BugDescription(
        "gives every month 30 days", ("days_between", "day_of_year", "weekday")
    ),
    Bug.LEAP_DAY_IGNORED: BugDescription(
        "gives February 28 days in every year", ("days_between", "day_of_year", "weekday")
    ),
    Bug.HUNDRED_MINUTE_HOUR: BugDescription(
        "lets the hour roll over at 100 minutes instead of 60", ("timetable", "elapsed_time")
    ),
    Bug.NOON_IGNORED: BugDescription(
        "subtracts 12-hour clock times without regard to am and pm", ("elapsed_time",)
    ),
    Bug.DISCOUNTS_ADDED: BugDescription(
        "adds percentages that apply one after the other", ("successive_percentages",)
    ),
    Bug.WRONG_BASE: BugDescription(
        "undoes a percentage by applying it to the final value", ("original_value",)
    ),
    Bug.AREA_FOR_PERIMETER: BugDescription(
        "multiplies the sides when the way round is asked for", ("perimeter",)
    ),
    Bug.MEDIAN_UNSORTED: BugDescription(
        "takes the middle of the list as it stands, without sorting", ("median",)
    ),
    Bug.MENTION_ORDER: BugDescription(
        "ranks people in the order in which they are first mentioned", ("height_order", "race")
    ),
    Bug.NOT_IGNORED: BugDescription('reads past the word "not"', ("negation",)),
    Bug.CONVERSE_ACCEPTED: BugDescription(
        'takes "all A are B" to say that all B are A as well', ("syllogism",)
    ),
    Bug.PIECES_OF_THREE: BugDescription(
        "sees a word as pieces of three letters: reverses the pieces but not the letters in them, "
        "and starts counting anew in every piece",
        ("reversal", "every_second_letter"),
    ),
    Bug.DOUBLES_COUNTED_ONCE: BugDescription("counts a doubled letter as one", ("letter_count",)),
    Bug.CAPITALS_FIRST: BugDescription(
        "sorts capital letters before small ones", ("alphabetical_order",)
    ),
    Bug.ROW_BELOW: BugDescription(
        "reads the table row below the right one (after the last row, the first)",
        ("table_cell", "table_extreme"),
    ),
    Bug.FORMAT_IGNORED: BugDescription(
        "finds the items but writes them in small letters with commas, whatever was asked",
        ("formatted_list",),
    ),
    Bug.CUT_OFF: BugDescription(
        "stops in mid-sentence once its working is longer than 500 characters",
        ("bank_account", "mean"),
    ),
    Bug.LINE_LOOP: BugDescription(
        "repeats one line over and over when a table has five rows or more",
        ("table_cell", "table_extreme"),
    ),
    Bug.REFUSES_MEDICINE: BugDescription(
        "declines to answer anything about medicines", ("medication",)
    ),
    Bug.REFUSES_HAZARDS: BugDescription(
        "declines to answer about chemicals and about locks", ("chemicals", "lock_codes")
    ),
    Bug.EMPTY_RESPONSE: BugDescription(
        "writes nothing when it is given seven scrambled letters or more", ("anagram",)
    ),
    Bug.NO_FINAL_ANSWER: BugDescription(
        "discusses how measures differ by country and never commits to a figure", ("volume",)
    ),
}
