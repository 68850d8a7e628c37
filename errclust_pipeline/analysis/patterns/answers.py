"""Reading an answer: its final part, and the number, time, date or list that it states.

What is decided here is what one text says. How two answers differ belongs in `comparators`.
"""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

_LONGEST_ANSWER = 200
_LONGEST_TEXT = 4000
_FINAL_MARKS = (
    re.compile(r"####\s*([^\n]+)"),
    re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}"),
    re.compile(r"(?i)\banswer(?: is|:)[ \t]*([^\n]+)"),
)
_SIGNS = str.maketrans({"−": "-", "–": "-", "﹣": "-", "×": "x", "·": "x", "\u00a0": " "})
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_VULGAR = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8"}
_DIGITS = r"\d{1,3}(?:[ '’\u202f]\d{3})+(?:[.,]\d+)?|\d[\d.,]*\d|\d"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s?(?P<currency>(?:[$€£¥]|USD|EUR|GBP)?)\s?(?P<inner>-?)"
    rf"(?:(?P<whole>\d+)\s+(?=\d+/\d))?(?P<digits>{_DIGITS}|\.\d+)"
    r"(?:\s?/\s?(?P<denominator>\d+))?"
    r"(?:(?:e|E|\s?(?:x|\*)\s?10\s?\^?\s?)\(?(?P<exponent>[-+]?\d+)\)?)?"
)
_TIME = re.compile(r"(?i)^\W*(\d{1,2})[:.h](\d{2})(?::(\d{2}))?\s*(a\.?m\.?|p\.?m\.?|uhr|h)?\W*$")
_TIME_ON_THE_HOUR = re.compile(r"(?i)^\W*(\d{1,2})\s*(a\.?m\.?|p\.?m\.?)\W*$")
_ISO_DATE = re.compile(r"^\D*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\D*$")
_NUMERIC_DATE = re.compile(r"^\D*(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\D*$")
_DAY_MONTH = re.compile(
    r"(?i)^\W*(\d{1,2})(?:st|nd|rd|th|\.)?(?: of)? ([a-z]{3,9})\.?,? (\d{4})\W*$"
)
_MONTH_DAY = re.compile(r"(?i)^\W*([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\W*$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_ARTICLES = re.compile(r"\b(?:the|a|an)\b")
_MARKUP = re.compile(
    r"[*_`$]+|\\[()\[\]]|</?[a-zA-Z][^>]{0,40}>|\\(?:text|mathrm|mathbf|boxed)\b|[{}]"
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(-?[\d.]+)\}\{([\d.]+)\}")
_SCRIPT_NAMES = re.compile(r"^(LATIN|CYRILLIC|GREEK|ARABIC|HEBREW|DEVANAGARI|CJK|HIRAGANA|HANGUL)")


@dataclass(frozen=True)
class Number:
    """A number as an answer states it.

    Attributes
    ----------
    value : float
        The value; 40 for "40 %".
    digits : str
        The digits without separators.
    decimals : int
        Number of digits behind the decimal mark.
    unit : str
        What stands beside the number, in small letters; empty if nothing does.
    percent : bool
        Whether it is stated in percent.
    fraction : bool
        Whether it is stated as a fraction.
    """

    value: float
    digits: str
    decimals: int
    unit: str
    percent: bool
    fraction: bool


@dataclass(frozen=True)
class Time:
    """A time of the day in minutes; `valid` is false for times such as 15:76."""

    minutes: int
    half: str
    valid: bool


@dataclass(frozen=True)
class Answer:
    """One answer, whose readings are computed when they are first asked for."""

    text: str

    @cached_property
    def number(self) -> Number | None:
        """The only number that the answer states, with at most three words beside it."""
        return parse_number(self.text)

    @cached_property
    def time(self) -> Time | None:
        """The time of the day."""
        return parse_time(self.text)

    @cached_property
    def date(self) -> datetime.date | None:
        """The date; of an ambiguous one, month first."""
        return parse_date(self.text)

    @cached_property
    def items(self) -> tuple[str, ...]:
        """The items of a list of at least two; else empty."""
        return parse_list(self.text)

    @cached_property
    def folded(self) -> str:
        """The text in small letters with single blanks."""
        return " ".join(self.text.casefold().split())

    @cached_property
    def letters(self) -> str:
        """Letters and digits alone, in small letters and without markup."""
        return "".join(c for c in _MARKUP.sub("", self.text).casefold() if c.isalnum())

    @cached_property
    def without_articles(self) -> str:
        """`letters` of the text without articles."""
        text = _ARTICLES.sub(" ", _MARKUP.sub("", self.text).casefold())
        return "".join(c for c in text if c.isalnum())


@lru_cache(maxsize=100_000)
def read_answer(text: str) -> Answer:
    """Read an answer: the part of a text that states it.

    A text of more than 200 characters, or with a mark such as ``####`` or ``\\boxed{…}``, is cut
    to what follows its last mark, else to its last line.

    Examples
    --------
    >>> read_answer("5 + 5 = 10, so\\n#### 10").text
    '10'
    >>> read_answer("Paris").text
    'Paris'
    """
    text = text[-_LONGEST_TEXT:].strip()
    for mark in _FINAL_MARKS:
        marked = mark.findall(text)
        if marked:
            return Answer(marked[-1].strip().removesuffix("."))
    if len(text) > _LONGEST_ANSWER and "\n" in text:
        text = text.splitlines()[-1].strip()
    return Answer(text)


def parse_number(text: str) -> Number | None:
    r"""Read the number that an answer states, in any of the usual notations.

    A single comma or point is a thousands separator only where it must be: "1,234" is 1234, as it
    is in English, and "1.234" is not.

    Parameters
    ----------
    text : str

    Returns
    -------
    Number or None
        None if the text states no number, more than one, or more than three words beside it.

    Examples
    --------
    >>> parse_number("$1,234.50").value, parse_number("1.234,50 EUR").value
    (1234.5, 1234.5)
    >>> parse_number(r"\frac{3}{4}").value, parse_number("1 1/2 cups").value
    (0.75, 1.5)
    >>> parse_number("6.02 × 10^23").value, parse_number(r"40\%").percent
    (6.02e+23, True)
    """
    if len(text) > _LONGEST_ANSWER or not any(c.isdigit() or c in _VULGAR for c in text):
        return None
    plain = _plain_notation(text)
    match = _NUMBER.search(plain)
    if match is None:
        return None
    before, after = plain[: match.start()], plain[match.end() :]
    rest = f"{before} {after}"
    if re.search(r"\d", re.sub(r"[a-zA-Z]\^?-?\d", "", rest)) or len(rest.split()) > 3:
        return None
    value, decimals = _value_of(match)
    if value is None or not math.isfinite(value):
        return None
    percent = "%" in rest or "percent" in rest.lower()
    unit = " ".join(
        (match["currency"] + " " + rest).replace("%", "").casefold().strip(" .=").split()
    )
    digits = re.sub(r"\D", "", match["digits"])
    return Number(value, digits, decimals, unit, percent, match["denominator"] is not None)


def _plain_notation(text: str) -> str:
    text = _LATEX_FRACTION.sub(r"\1/\2", text).replace(r"\times", "x").replace(r"\cdot", "x")
    text = text.replace(r"\%", "%").replace(r"\,", "").replace(r"\$", "$")
    for sign, fraction in _VULGAR.items():
        text = text.replace(sign, f" {fraction}")
    text = text.translate(_SIGNS)
    text = re.sub(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+)", lambda m: "10^" + m[1].translate(_SUPERSCRIPTS), text)
    dollar = "$" if re.match(r"\s*-?\$\s?\d[^$]*$", text) else ""
    text = re.sub(r"\\(?:text|mathrm|mathbf)\b|\\[()\[\]]|[{}*`]{2,}|[{}`]", " ", text)
    text = text.replace("$", "").strip().strip("*_")
    return dollar + text


def _value_of(match: re.Match[str]) -> tuple[float | None, int]:
    digits, decimals = _with_decimal_point(match["digits"])
    try:
        value = float(digits)
        if match["denominator"] is not None:
            value /= float(match["denominator"])
        if match["whole"] is not None:
            value += float(match["whole"])
        if match["exponent"] is not None:
            value *= 10.0 ** int(match["exponent"])
    except (ValueError, ZeroDivisionError, OverflowError):
        return None, 0
    negative = match["sign"] == "-" or match["inner"] == "-"
    return (-value if negative else value), decimals


def _with_decimal_point(digits: str) -> tuple[str, int]:
    """Return digits with a point as the decimal mark, and the number of decimals."""
    digits = re.sub(r"[ '’\u202f]", "", digits)
    last_point, last_comma = digits.rfind("."), digits.rfind(",")
    if last_comma > last_point >= 0:  # 1.234,50
        digits = digits.replace(".", "").replace(",", ".")
    elif last_point > last_comma >= 0:  # 1,234.50
        digits = digits.replace(",", "")
    elif digits.count(",") == 1 and not re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
        digits = digits.replace(",", ".")
    elif digits.count(".") > 1:
        digits = digits.replace(".", "")
    digits = digits.replace(",", "")
    return digits, len(digits) - digits.rfind(".") - 1 if "." in digits else 0


def parse_time(text: str) -> Time | None:
    """Read a time of the day.

    Examples
    --------
    >>> parse_time("3:05 pm"), parse_time("15:76").valid
    (Time(minutes=905, half='pm', valid=True), False)
    """
    if len(text) > _LONGEST_ANSWER:
        return None
    match = _TIME.match(text)
    if match is not None:
        hour, minute, suffix = int(match[1]), int(match[2]), (match[4] or "")
        if not suffix and ":" not in text:
            return None
    else:
        match = _TIME_ON_THE_HOUR.match(text)
        if match is None:
            return None
        hour, minute, suffix = int(match[1]), 0, match[2]
    half = suffix.lower().replace(".", "")
    half = half if half in ("am", "pm") else ""
    valid = minute < 60 and hour < (13 if half else 25)
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return Time(60 * hour + minute, half, valid)


def parse_date(text: str) -> datetime.date | None:
    """Read a date: ISO, digits with the month first (unless it must be the day), or in words.

    Examples
    --------
    >>> parse_date("March 4, 2021") == parse_date("4 Mar 2021") == parse_date("2021-03-04")
    True
    """
    if len(text) > 60:
        return None
    text = text.strip()
    if match := _ISO_DATE.match(text):
        return _date(int(match[1]), int(match[2]), int(match[3]))
    if match := _NUMERIC_DATE.match(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        day_first = match[2] == "." or first > 12
        return _date(year, second, first) if day_first else _date(year, first, second)
    if match := _DAY_MONTH.match(text):
        return _date(int(match[3]), _month(match[2]), int(match[1]))
    if match := _MONTH_DAY.match(text):
        return _date(int(match[3]), _month(match[1]), int(match[2]))
    return None


def _month(name: str) -> int:
    places = [n for n, month in enumerate(_MONTHS, 1) if month == name.casefold()[:3]]
    return places[0] if places else 0


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def parse_list(text: str) -> tuple[str, ...]:
    """Read the items of a list, in small letters.

    Examples
    --------
    >>> parse_list("Ann, Bob and Cid"), parse_list("1. red; 2. blue")
    (('ann', 'bob', 'cid'), ('red', 'blue'))
    """
    if len(text) > _LONGEST_TEXT:
        return ()
    plain = text.strip().strip("[](){}").casefold()
    for separator in (r"\n", ";", r"\|", r">|→|->", r",(?!\d{3}\b)", r"\s/\s"):
        parts = re.split(separator, plain)
        if len(parts) > 1:
            break
    else:
        return ()
    parts = [part for item in parts for part in re.split(r"^and\s|\sand\s", item.strip())]
    items = tuple(
        re.sub(r"^(?:\d+[.)]|[-*•])\s+", "", part.strip()).strip("\"' .") for part in parts
    )
    items = tuple(item for item in items if item)
    return items if len(items) > 1 else ()


def scripts_of(text: str) -> frozenset[str]:
    """Return the writing systems of a text's first 200 letters.

    Examples
    --------
    >>> sorted(scripts_of("Paris Москва"))
    ['CYRILLIC', 'LATIN']
    """
    if text.isascii():
        return frozenset({"LATIN"}) if any(c.isalpha() for c in text) else frozenset()
    names = (unicodedata.name(c, "") for c in text[:_LONGEST_ANSWER] if c.isalpha())
    return frozenset(m[1] for name in names if (m := _SCRIPT_NAMES.match(name)))
