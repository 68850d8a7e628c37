"""Times of day: arrivals by timetable, and time elapsed on a 12-hour clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, pick


@dataclass(frozen=True)
class Timetable:
    """The arrival time after a departure and a travel time."""

    hour: int
    minute: int
    hours: int
    minutes: int

    def solve(self, bugs: Bugs) -> Working:
        """Add hours and minutes, and let full hours roll over."""
        rollover = 100 if Bug.HUNDRED_MINUTE_HOUR in bugs else 60
        total = self.minute + self.minutes
        hour, minute = self.hour + self.hours + total // rollover, total % rollover
        answer = f"{hour:02d}:{minute:02d}"
        steps = (
            f"Hours: {self.hour} + {self.hours} = {self.hour + self.hours}.",
            f"Minutes: {self.minute} + {self.minutes} = {total}.",
            f"That makes {answer}.",
        )
        return Working(steps, answer)


@dataclass(frozen=True)
class ElapsedTime:
    """The minutes between a start in the morning and an end in the afternoon."""

    start_hour: int
    start_minute: int
    end_hour: int
    end_minute: int

    def solve(self, bugs: Bugs) -> Working:
        """Turn both times into minutes and subtract."""
        in_hour = 100 if Bug.HUNDRED_MINUTE_HOUR in bugs else 60
        end_hour = self.end_hour
        if Bug.NOON_IGNORED in bugs and end_hour > 12:
            end_hour -= 12
        start = self.start_hour * in_hour + self.start_minute
        end = end_hour * in_hour + self.end_minute
        steps = (
            f"The start is {self.start_hour} × {in_hour} + {self.start_minute} = {start} minutes.",
            f"The end is {end_hour} × {in_hour} + {self.end_minute} = {end} minutes.",
            f"{max(start, end)} - {min(start, end)} = {abs(end - start)}.",
        )
        return Working(steps, str(abs(end - start)))


def _timetable(rng: random.Random) -> tuple[str, Timetable]:
    hour, hours = rng.randrange(5, 17), rng.randrange(1, 6)
    minute, minutes = rng.randrange(18, 60), rng.randrange(24, 60)
    town, other = rng.sample(TOWNS, 2)
    person = rng.choice(PEOPLE)
    leaves, takes = f"{hour:02d}:{minute:02d}", f"{hours} h {minutes} min"
    text = pick(
        rng,
        f"A train leaves {town} at {leaves} and takes {takes} to reach {other}. When does it "
        "arrive? Use the 24-hour clock.",
        f"The coach from {town} departs at {leaves}. The journey to {other} lasts {takes}. What "
        "is the arrival time on the 24-hour clock?",
        f"{person} takes the {leaves} ferry to {other}; the crossing takes {takes}. At what time "
        "(24-hour clock) does the ferry dock?",
        f"According to the timetable the {leaves} express from {town} needs {takes} to {other}. "
        "Give its arrival time in 24-hour format.",
        f"{person}'s flight departs at {leaves} and is in the air for {takes}. In the time of the "
        "departure airport, when does the plane land? Use the 24-hour clock.",
    )
    return text, Timetable(hour, minute, hours, minutes)


def _elapsed_time(rng: random.Random) -> tuple[str, ElapsedTime]:
    start_hour, end_hour = rng.randrange(7, 12), rng.randrange(13, 19)
    start_minute, end_minute = rng.randrange(60), rng.randrange(60)
    person = rng.choice(PEOPLE)
    start, end = f"{start_hour}:{start_minute:02d} am", f"{end_hour - 12}:{end_minute:02d} pm"
    text = pick(
        rng,
        f"{person} began baking at {start} and finished at {end}. How many minutes did it take?",
        f"A school day runs from {start} until {end}. How many minutes long is it?",
        f"{person} worked in the garden from {start} to {end} without a break. For how many "
        "minutes was that?",
        f"A chess match started at {start} and ended at {end} the same day. How many minutes did "
        "it last?",
        f"The power was out between {start} and {end}. How many minutes passed?",
        f"How many minutes are there from {start} to {end} on the same day?",
    )
    return text, ElapsedTime(start_hour, start_minute, end_hour, end_minute)


KINDS = (
    Kind("timetable", "clock", "demo_numbers", 50, _timetable),
    Kind("elapsed_time", "clock", "demo_numbers", 45, _elapsed_time),
)
