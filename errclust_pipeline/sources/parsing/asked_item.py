"""What a model was asked, found from the rendered prompt and the document together.

A prompt holds more than the item: a system prompt, a description, worked examples, the markers of a
chat template, a cue such as ``Answer:``. A document holds more than the prompt shows: the answer,
ids, fields of other templates. The item is what both have in common: the values of the document
that stand in the prompt, from the first to the last of them, with what stands between. It is the
same text whatever number of examples comes before it and whatever chat template is around it.

Which fields a prompt shows is learnt from a file's first rows: a field is shown if its values stand
in the prompts of their own rows and not in those of other rows. So no list of field names is
needed, and neither a label that is part of the instructions nor an answer that a worked example
happens to give is taken for a part of the item. Where prompts show nothing of the documents the
caller is told, and decides.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from errclust_pipeline.sources.parsing.item_text import common_start

ROWS_THAT_TEACH = 48
"""Number of rows from which a file's rule is learnt."""

_MOST_FIELDS = 200
"""Maximum number of fields of a document that are looked for."""

_MOST_ELEMENTS = 60
"""Maximum number of elements of a list that are looked for."""

_SHOWN = 0.6
"""Minimum share of rows in which a field that is shown stands in the prompt."""

_CONTRAST = 0.4
"""Minimum difference between that share and the share of other rows' prompts."""

_HARDLY_ANY = 0.3
"""Share of rows below which an element of a list is not shown, as the last of five options."""

_STEPS = (3, 7, 11, 17)
"""How far away the rows are whose values are looked for in a row's prompt."""

_LONG_ENOUGH_GLUED = 12
"""Minimum length of a value that is found where a word goes on before or after it."""

_NEARLY_ALL = 0.9
"""Minimum share of rows in which a long field stands that other rows' prompts often hold too."""

_LONG = 20
"""Minimum mean length of a field's values, in characters, that stand in a prompt by no chance."""

_SAME_GAP = 0.8
"""Minimum share of rows in which a short field stands at the same distance from the item."""

_LONGEST_GAP = 80
"""Maximum length of the text between a short field and the item, in characters."""

_LONGEST_LEAD = 60
"""Maximum length of the text before a field that is compared between rows, in characters."""

_LONGEST_TAIL = 4_000
"""Maximum length of the text after the item that is compared between rows, in characters."""

_CHUNK = 24
"""Number of characters at the start and the end of a value that are looked for on their own."""

_LONGEST_LIST_TEXT = 20_000
_MARKER = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|\[/?INST\]|<(?:start|end)_of_turn>(?:user|model)?|</?s>"
)
_TURN = re.compile(
    r"\s*(?:<\|(?:im_|eot_|start_|end_|begin_|assistant|user|system|eom_)[^|<>\n]{0,40}\|>\s*"
    r"(?:(?:assistant|user|system|model)\s)?|<(?:start|end)_of_turn>(?:user|model)?\n?|\[/?INST\])+"
)
_PIECE = re.compile(rf"\n|{_MARKER.pattern}")
_SHORTEST_EXAMPLE = 10
_ALPHABETS = ("ABCDEFGHIJKLMNOP", "abcdefghijkl", "123456789")
LABEL_FORMS = ("({})", "{}. ", "{}) ", "{}: ", "{}.", "{})", "{}:")
"""How the label of an option is written before it."""

Path = tuple[Any, ...]


class Asked(NamedTuple):
    """What a row states: its document, and the prompt and continuation of each request."""

    document: Any
    prompts: Sequence[str]
    continuations: Sequence[str]


class Item(NamedTuple):
    """The item of a row.

    Attributes
    ----------
    question : str
        What was asked; without the options, if `options` are given or were passed in.
    options : list of str, optional
        The options, where the prompt shows them and what they are was found there.
    """

    question: str
    options: list[str] | None = None


def values_in(document: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the values inside a document as text, with their places; lists given as text too."""
    if isinstance(document, str):
        parsed = list_in_text(document)
        if parsed is None:
            if document.strip():
                yield path, document.strip()
        else:
            yield from values_in(parsed, path)
    elif isinstance(document, bool) or document is None:
        return
    elif isinstance(document, int | float):
        yield path, str(document)
    elif isinstance(document, Mapping):
        for name, value in document.items():
            yield from values_in(value, (*path, name))
    elif isinstance(document, list | tuple):
        for number, value in enumerate(document[:_MOST_ELEMENTS]):
            yield from values_in(value, (*path, number))


def list_in_text(text: str) -> list[Any] | None:
    """Return the list that a text is the literal of, in Python's form or JSON's; None if none."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return None
    if len(stripped) > _LONGEST_LIST_TEXT or stripped[1:2] not in ("'", '"'):
        return None
    try:
        parsed = json.loads(stripped)
    except (ValueError, RecursionError):
        try:
            parsed = ast.literal_eval(stripped)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return None
    return parsed if isinstance(parsed, list) and parsed else None


def last_user_text(prompt: Any) -> str:
    """Return a prompt's text; of a conversation what the user says last."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    turns = prompt
    if isinstance(prompt, str):
        if not prompt.lstrip().startswith("[{"):
            return prompt
        try:
            turns = json.loads(prompt)
        except (ValueError, RecursionError):
            return prompt
    if isinstance(turns, list):
        begun = ""
        for turn in reversed(turns):
            if not isinstance(turn, dict):
                break
            if turn.get("role") == "user":
                return f"{_content(turn.get('content'))}{begun}"
            # The beginning of an answer is part of what is asked.
            begun = f"\n{_content(turn.get('content'))}{begun}"
    return prompt if isinstance(prompt, str) else ""


def _content(content: Any) -> str:
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _says_something(text: str) -> bool:
    return sum(map(str.isalnum, text)) >= 3


def _general(path: Path) -> Path:
    """Return a place with each element of a list called the same."""
    return tuple("[]" if isinstance(part, int) else part for part in path)


# ---- Where a value stands in a prompt ------------------------------------------------------------


def _is_word(character: str) -> bool:
    # Beyond ASCII many scripts write words without blanks.
    return character.isascii() and (character.isalnum() or character == "_")


def find_last(text: str, value: str, end: int) -> int:
    """Return where a value stands last in a text before a place; -1 if nowhere.

    It has to stand there as whole words, unless it is long enough to be no chance.
    """
    at = glued = text.rfind(value, 0, end)
    if at < 0 or not value:
        return -1
    first, last = _is_word(value[0]), _is_word(value[-1])
    for _ in range(50):
        after = at + len(value)
        if not (first and at and _is_word(text[at - 1])) and not (
            last and after < len(text) and _is_word(text[after])
        ):
            return at
        at = text.rfind(value, 0, after - 1)
        if at < 0:
            break
    return glued if len(value) >= _LONG_ENOUGH_GLUED else -1


def _lower_first(value: str) -> str:
    return value[:1].lower() + value[1:]


def _upper_first(value: str) -> str:
    return value[:1].upper() + value[1:]


def _without_end(value: str) -> str:
    return value.rstrip(".?!:;, ")


def _lower_without_end(value: str) -> str:
    return _lower_first(_without_end(value))


_CHANGES: tuple[Callable[[str], str], ...] = (
    _without_end,
    _lower_first,
    _upper_first,
    str.lower,
    str.upper,
    _lower_without_end,
    lambda value: " ".join(value.split()),
)
"""How templates change a value on its way into the prompt."""


def find_changed(text: str, value: str, end: int) -> tuple[int, int] | None:
    """Return where a value that a template changed stands last before a place; None if nowhere."""
    for change in _CHANGES:
        changed = change(value)
        if changed != value and len(changed) >= 3:
            at = find_last(text, changed, end)
            if at >= 0:
                return at, at + len(changed)
    return _find_ends(text, value, end)


def _find_ends(text: str, value: str, end: int) -> tuple[int, int] | None:
    """Return where a value's start and end stand, if what is between was changed or cut."""
    if len(value) < _LONG:
        return None
    size = min(_CHUNK, len(value) // 2)
    head, tail = value[:size].rstrip(), value[-size:].lstrip()
    # Whole words, where there are any.
    head = head.rpartition(" ")[0] or head
    tail = tail.partition(" ")[2] or tail
    start = find_last(text, head, end)
    stop = find_last(text, tail, end)
    if stop >= 0:
        stop += len(tail)
        if 0 <= start < stop <= start + 3 * len(value) + 200:
            return start, stop
        if start < 0:
            return stop - len(tail), stop
    return (start, start + len(head)) if start >= 0 else None


# ---- What a file's rows teach --------------------------------------------------------------------


@dataclass
class _Field:
    """What is known of a field of a file's documents."""

    path: Path
    is_changed: bool
    hidden: frozenset[int] = frozenset()
    """Elements of the list that are not shown, by their number."""


@dataclass
class _Slot:
    """A short field that stands at a fixed distance before or after the item."""

    path: Path
    between: str
    is_before: bool


@dataclass
class AskedItems:
    """The rule by which a file's items are found; see `learn_items`.

    Attributes
    ----------
    fields : list
        The fields that the prompts show, in the order in which they stand there.
    slots : list
        Short fields before and after them.
    leads : mapping
        What stands before the values of a field in all rows.
    tail : str
        What all prompts end with.
    cues : tuple of str
        What of that a worked example has too, such as ``Answer:``.
    labels : tuple of str
        The labels of options that the prompts show, such as A to D; empty if they show none.
    """

    fields: list[_Field] = field(default_factory=list)
    slots: list[_Slot] = field(default_factory=list)
    leads: dict[Path, str] = field(default_factory=dict)
    tail: str = ""
    cues: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    form: str = ""
    has_varying_head: bool = False
    options_lead: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the prompts show anything of the documents."""
        return bool(self.fields)

    def item(
        self,
        document: Any,
        text: str,
        options: Sequence[str] | None = None,
        count: int | None = None,
    ) -> Item | None:
        """Return the item of a prompt; None if it shows nothing of the document.

        Parameters
        ----------
        text : str
            The prompt, or what the user says last; see `last_user_text`.
        options : sequence of str, optional
            The options as far as they are known; they are left out of the question where the
            prompt lists them before or after it.
        count : int, optional
            How many options there are, if that is known.
        """
        start, end, spans = self._span(document, text)
        if start < 0:
            return None
        end = max(end, self._end_of_item(text, end))
        if self.labels and count in (None, len(self.labels)):
            values = {value for _, value in values_in(document)}
            listed = labelled_options(text[start:end], self.labels, self.form, values)
            if listed is not None:
                at, shown = listed
                before = [place for place in spans if place[1] <= start + at]
                if before:
                    end = self._end_before_options(text, start + at, before)
                return Item(_without_markers(text[start:end]), shown)
        if options:
            start, end = self._without_options(text, (start, end), spans, options)
        return Item(_without_markers(text[start:end]))

    def _end_before_options(self, text: str, at: int, spans: list[tuple[int, int]]) -> int:
        """Return where the question ends that stands before options."""
        until = max(place[1] for place in spans)
        lead = self.options_lead
        return max(until, at - len(lead)) if text.endswith(lead, 0, at) else at

    def _end_of_item(self, text: str, end: int) -> int:
        tail = self.tail
        return len(text) - len(tail) if text.endswith(tail) else end

    def _span(self, document: Any, text: str) -> tuple[int, int, list[tuple[int, int]]]:
        """Return where the item begins and ends, and where its values stand; -1 if nowhere."""
        spans: list[tuple[int, int]] = []
        start, end, lead, next_value = -1, -1, "", ""
        for known in reversed(self.fields):
            for value in reversed(_values_at(document, known.path, known.hidden)):
                limit = len(text) if start < 0 else start
                place = _place(text, value, limit, known.is_changed)
                if place is None and start >= 0:
                    # A value that stands inside the item, out of the usual order.
                    place = _place(text, value, len(text), known.is_changed)
                if place is None:
                    continue
                if start < 0:
                    start, end = place
                elif place[0] >= start:
                    if self._starts_anew(document, text[end : place[0]], known.path):
                        # What was found before stands in a worked example.
                        start, spans = place[0], []
                    end = max(end, place[1])
                elif self._is_apart(text[place[1] : start], lead, next_value):
                    continue
                else:
                    start, end = place[0], max(end, place[1])
                spans.append(place)
                lead, next_value = self.leads.get(known.path, ""), value
        if start < 0:
            return -1, -1, []
        for slot in self.slots:
            for value in _values_at(document, slot.path):
                if slot.is_before:
                    whole = value + slot.between
                    if text.startswith(whole, start - len(whole)) and start >= len(whole):
                        start -= len(whole)
                elif text.startswith(slot.between + value, end):
                    end += len(slot.between) + len(value)
                    spans.append((end - len(value), end))
        if self.has_varying_head:
            start = _start_of_line(text, start)
        return start, end, spans

    def _is_apart(self, between: str, lead: str, next_value: str) -> bool:
        """Whether worked examples stand between a value and the one that follows in the item.

        Parameters
        ----------
        between : str
            What stands between them.
        lead : str
            What stands before the value that follows, in all rows.
        next_value : str
            That value.
        """
        if len(between) > _SHORTEST_EXAMPLE and any(cue in between for cue in self.cues):
            return True
        # What stands before a field comes again, without this document's value after it: another
        # document was rendered there.
        return bool(lead) and between.count(lead) - 1 > between.count(next_value)

    def _starts_anew(self, document: Any, between: str, path: Path) -> bool:
        """Whether an item begins in a text between a value and one that should stand before it.

        Parameters
        ----------
        path : tuple
            The field of the value that should stand before it.
        """
        if any(cue in between for cue in self.cues):
            return True
        for other, lead in self.leads.items():
            count = between.count(lead)
            # Before a value of this document its lead is no sign of another one.
            if count and count > (other == path) + sum(
                between.count(value) for value in _values_at(document, other)
            ):
                return True
        return False

    def _without_options(
        self, text: str, item: tuple[int, int], spans: list[tuple[int, int]], options: Sequence[str]
    ) -> tuple[int, int]:
        """Return the item's place without the options, if these stand at its start or end."""
        start, end = item
        block = option_block(text, start, end, options)
        if block is None:
            return item
        first, last = block
        after = [place for place in spans if place[0] >= last]
        before = [place for place in spans if place[1] <= first]
        if before and not after:
            return start, self._end_before_options(text, first, before)
        if after and not before:
            return min(place[0] for place in after), end
        return item


def _without_markers(text: str) -> str:
    """Return an item without the markers of a chat template, between it and a cue in its answer."""
    return _TURN.sub("\n", text).strip() if "<" in text or "[" in text else text.strip()


def labelled_options(
    text: str, labels: Sequence[str], form: str, values: Container[str]
) -> tuple[int, list[str]] | None:
    """Return what a text lists after labels, and where; None if it is not the document's.

    Parameters
    ----------
    form : str
        How a label is written, of `LABEL_FORMS`.
    values : container of str
        What options can be.
    """
    end = len(text)
    options: list[str] = []
    for label in reversed(labels):
        mark = form.format(label)
        at = find_last(text, mark, end)
        if at < 0:
            return None
        option = text[at + len(mark) : end].strip()
        if option not in values:
            option = option.rstrip(",;|").rstrip()
            if option not in values:
                return None
        options.append(option)
        end = at
    return end, options[::-1]


def option_block(text: str, start: int, end: int, options: Sequence[str]) -> tuple[int, int] | None:
    """Return where options stand one after the other in a part of a text; None if they do not."""
    limit, last = end, -1
    for option in reversed(options):
        value = option.strip()
        if not value:
            return None
        at = find_last(text, value, limit)
        if at < start:
            return None
        if last < 0:
            last = at + len(value)
        elif limit - at - len(value) > 14:
            return None
        limit = at
    return limit, last


def _values_at(document: Any, path: Path, hidden: Container[int] = ()) -> list[str]:
    """Return the values at a place of a document, in which lists stand for each element.

    Parameters
    ----------
    hidden : container of int
        Elements of the outermost list that are left out.
    """
    if not path:
        return [value for _, value in values_in(document)]
    value = document
    for number, part in enumerate(path):
        if isinstance(value, str):
            value = list_in_text(value)
        if part == "[]":
            if not isinstance(value, list | tuple):
                return []
            rest = path[number + 1 :]
            return [
                found
                for place, element in enumerate(value[:_MOST_ELEMENTS])
                if place not in hidden
                for found in _values_at_rest(element, rest)
            ]
        if not isinstance(value, Mapping):
            return []
        value = value.get(part)
    return _texts(value)


def _values_at_rest(element: Any, rest: Path) -> list[str]:
    return _values_at(element, rest) if rest else _texts(element)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        stripped = value.strip()
        return [stripped] if stripped else []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [str(value)]
    return []


def _place(text: str, value: str, end: int, is_changed: bool) -> tuple[int, int] | None:
    at = find_last(text, value, end)
    if at >= 0:
        return at, at + len(value)
    return find_changed(text, value, end) if is_changed else None


def _start_of_line(text: str, start: int) -> int:
    """Return where the line of a place begins, or its turn of a conversation."""
    line = text.rfind("\n", 0, start) + 1
    for marker in _MARKER.finditer(text, line, start):
        line = marker.end()
    return line


def learn_items(rows: Sequence[tuple[Any, str]]) -> AskedItems:
    """Learn from rows which fields the prompts show, and in what order.

    Parameters
    ----------
    rows : sequence of (document, text)
        Some rows of a file; see `last_user_text`.
    """
    rows = [(document, text) for document, text in rows if text.strip()][:ROWS_THAT_TEACH]
    if not rows:
        return AskedItems()
    documents = [dict(_grouped(document)) for document, _ in rows]
    texts = [text for _, text in rows]
    names = dict.fromkeys(path for document in documents for path in document)
    strong: list[_Field] = []
    weak: list[Path] = []
    for path in list(names)[:_MOST_FIELDS]:
        known = _judged(path, documents, texts)
        if isinstance(known, _Field):
            strong.append(known)
        elif known:
            weak.append(path)
    for known in strong:
        known.hidden = _hidden_elements(known, rows)
    items = AskedItems(fields=_in_order(strong, documents, texts))
    if not strong:
        return items
    _leave_out_needless(items, rows)
    items.tail = _shared_end(texts)
    items.cues = tuple(filter(_says_something, _PIECE.split(items.tail)))
    _learn_leads(items, rows)
    _learn_slots(items, rows, weak)
    _learn_labels(items, rows)
    _learn_head(items, rows)
    return items


def _grouped(document: Any) -> dict[Path, list[str]]:
    grouped: dict[Path, list[str]] = {}
    for path, value in values_in(document):
        grouped.setdefault(_general(path), []).append(value)
    return grouped


def _judged(
    path: Path, documents: Sequence[Mapping[Path, list[str]]], texts: Sequence[str]
) -> _Field | bool:
    """Decide whether a field is shown; True if it may be, and its place has to tell."""
    there = [number for number, document in enumerate(documents) if document.get(path)]
    own = [documents[number][path] for number in there]
    length = sum(len(value) for values in own for value in values) / sum(map(len, own))
    for is_changed in (False, True):
        if is_changed and length < 6:
            break
        places = [
            _first_place(texts[number], values, is_changed)
            for number, values in zip(there, own, strict=True)
        ]
        share = sum(place is not None for place in places) / len(there)
        if share < _SHOWN:
            continue
        chance = _chance(there, own, texts, is_changed)
        if chance is None:
            # The same in all rows, or there is one row: only a long value says something.
            if length >= _LONG or (len(there) == 1 and length > 3):
                return _Field(path, is_changed)
        elif share - chance >= _CONTRAST or (
            length >= _LONG and share >= _NEARLY_ALL and share - chance >= _CONTRAST / 4
        ):
            return _Field(path, is_changed)
        return not is_changed
    return False


def _leave_out_needless(items: AskedItems, rows: Sequence[tuple[Any, str]]) -> None:
    """Leave out fields that templates seem to change, if the items are the same without them."""
    for known in [known for known in items.fields if known.is_changed]:
        before = [items._span(document, text)[:2] for document, text in rows]
        fields = items.fields
        items.fields = [other for other in fields if other is not known]
        if [items._span(document, text)[:2] for document, text in rows] != before:
            items.fields = fields


def _hidden_elements(known: _Field, rows: Sequence[tuple[Any, str]]) -> frozenset[int]:
    """Return which elements of a list stand in hardly any prompt."""
    if "[]" not in known.path:
        return frozenset()
    at = known.path.index("[]")
    there: Counter[int] = Counter()
    shown: Counter[int] = Counter()
    for document, text in rows:
        for path, value in values_in(document):
            if _general(path) == known.path:
                there[path[at]] += 1
                shown[path[at]] += _place(text, value, len(text), known.is_changed) is not None
    return frozenset(
        number for number, times in there.items() if shown[number] < _HARDLY_ANY * times
    )


def _in_order(
    fields: Sequence[_Field], documents: Sequence[Mapping[Path, list[str]]], texts: Sequence[str]
) -> list[_Field]:
    """Sort fields by where they stand in most rows; in those where each stands once, if it can."""
    places = []
    for known in fields:
        once: dict[int, int] = {}
        last: dict[int, int] = {}
        for number, (document, text) in enumerate(zip(documents, texts, strict=True)):
            values = document.get(known.path)
            place = _place(text, values[0], len(text), known.is_changed) if values else None
            if place is not None and values:
                last[number] = place[0]
                if text.count(values[0]) < 2:
                    once[number] = place[0]
        # A field that templates show twice stands where it stands last.
        places.append(once if 2 * len(once) > len(last) else last)
    wins = [0] * len(fields)
    for position, mine in enumerate(places):
        for theirs in places:
            both = mine.keys() & theirs.keys()
            after = sum(mine[number] > theirs[number] for number in both)
            wins[position] += 2 * after > len(both)
    return [fields[number] for number in sorted(range(len(fields)), key=wins.__getitem__)]


def _first_place(text: str, values: Sequence[str], is_changed: bool) -> int | None:
    """Return how far from the end the values of a field begin, as a negative number."""
    places = [_place(text, value, len(text), is_changed) for value in values]
    starts = [place[0] for place in places if place is not None]
    if 2 * len(starts) <= len(values):
        return None
    return min(starts) - len(text)


def _chance(
    there: Sequence[int], own: Sequence[list[str]], texts: Sequence[str], is_changed: bool
) -> float | None:
    """Return in what share of prompts values of another row stand; None if all rows have one."""
    hits = trials = 0
    for position, values in enumerate(own):
        others = {
            (position + step) % len(own)
            for step in _STEPS
            if own[(position + step) % len(own)] != values
        }
        for other in others:
            trials += 1
            text = texts[there[position]]
            hits += _first_place(text, own[other], is_changed) is not None
    return hits / trials if trials else None


def _learn_leads(items: AskedItems, rows: Sequence[tuple[Any, str]]) -> None:
    """Learn what stands before the values of each field in all rows."""
    for known in items.fields:
        before = []
        for document, text in rows:
            values = _values_at(document, known.path)
            place = _place(text, values[0], len(text), known.is_changed) if values else None
            if place is not None and place[0] > 0:
                before.append(text[max(0, place[0] - _LONGEST_LEAD) : place[0]])
        lead = _shared_end(before) if len(before) > 1 else ""
        if _says_something(lead):
            items.leads[known.path] = lead


def _learn_slots(items: AskedItems, rows: Sequence[tuple[Any, str]], weak: list[Path]) -> None:
    """Learn which short fields stand at a fixed distance before and after the item."""
    left = list(weak)
    for _ in range(len(weak)):
        spans = [items._span(document, text)[:2] for document, text in rows]
        slot = _best_slot(left, rows, spans)
        if slot is None:
            return
        items.slots.append(slot)
        left.remove(slot.path)


def _best_slot(
    paths: Sequence[Path], rows: Sequence[tuple[Any, str]], spans: Sequence[tuple[int, int]]
) -> _Slot | None:
    best: tuple[int, _Slot] | None = None
    for path in paths:
        for is_before in (True, False):
            gaps: Counter[str] = Counter()
            values: set[str] = set()
            usable = 0
            for (document, text), (start, end) in zip(rows, spans, strict=True):
                found = _values_at(document, path)
                if start < 0 or len(found) != 1:
                    continue
                usable += 1
                gap = _gap(text, found[0], start, end, is_before)
                if gap is not None:
                    gaps[gap] += 1
                    values.add(found[0])
            if not gaps or len(values) < 2:
                continue
            between, times = gaps.most_common(1)[0]
            if times >= _SAME_GAP * usable and (best is None or len(between) < best[0]):
                best = len(between), _Slot(path, between, is_before)
    return best[1] if best else None


def _gap(text: str, value: str, start: int, end: int, is_before: bool) -> str | None:
    if is_before:
        at = find_last(text, value, start)
        gap = text[at + len(value) : start] if at >= 0 else None
    else:
        after = text.find(value, end)
        gap = text[end:after] if after >= 0 else None
    return gap if gap is not None and len(gap) <= _LONGEST_GAP else None


def _learn_labels(items: AskedItems, rows: Sequence[tuple[Any, str]]) -> None:
    """Learn whether the prompts list options after letters or numbers, and how these look."""
    counts: Counter[tuple[tuple[str, ...], str]] = Counter()
    for document, text in rows:
        start, end, _ = items._span(document, text)
        if start < 0:
            continue
        part = text[start : max(end, items._end_of_item(text, end))]
        values = {value for _, value in values_in(document)}
        if key := _labels_in(part, values):
            counts[key] += 1
    if counts:
        key, times = counts.most_common(1)[0]
        if times >= _SHOWN * len(rows):
            items.labels, items.form = key


def _labels_in(text: str, values: Container[str]) -> tuple[tuple[str, ...], str] | None:
    for form in LABEL_FORMS:
        for alphabet in _ALPHABETS:
            if find_last(text, form.format(alphabet[1]), len(text)) < 0:
                continue
            for count in range(len(alphabet), 1, -1):
                labels = tuple(alphabet[:count])
                if labelled_options(text, labels, form, values) is not None:
                    return labels, form
    return None


def _learn_head(items: AskedItems, rows: Sequence[tuple[Any, str]]) -> None:
    """Learn whether something stands before the first value, in its line, that differs by row."""
    heads = []
    for document, text in rows:
        start, _, _ = items._span(document, text)
        if start >= 0:
            heads.append(text[_start_of_line(text, start) : start])
    items.has_varying_head = len(set(heads)) > max(1, 0.3 * len(heads))


def learn_options_lead(
    items: AskedItems, rows: Sequence[tuple[Any, str]], options: Sequence[Sequence[str] | None]
) -> None:
    """Learn what stands before the first option in all rows, e.g. ``Options: A.``."""
    before = []
    for (document, text), choices in zip(rows, options, strict=True):
        start, end, _ = items._span(document, text)
        if start < 0:
            continue
        end = max(end, items._end_of_item(text, end))
        block = None
        if items.labels:
            values = {value for _, value in values_in(document)}
            block = labelled_options(text[start:end], items.labels, items.form, values)
        if block is not None:
            before.append(text[start : start + block[0]])
        elif choices and (place := option_block(text, start, end, choices)) is not None:
            before.append(text[start : place[0]])
    items.options_lead = _shared_end(before)


def _shared_end(texts: Sequence[str]) -> str:
    """Return what all texts end with, from the start of a word on; nothing of a single one."""
    if len(texts) < 2:
        return ""
    end = common_start([text[-_LONGEST_TAIL:][::-1] for text in texts])[::-1]
    while end and _is_word(end[0]) and not all(text == end for text in texts):
        word = re.match(r"\w+", end)
        end = end[word.end() :] if word else ""
    return end
