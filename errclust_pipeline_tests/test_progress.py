"""Progress of long work."""

from errclust_pipeline import progress
from errclust_pipeline.progress import ProgressCounter, ProgressReport, listen


def test_listeners_hear_of_each_step_while_they_listen():
    reports = []
    counter = ProgressCounter("embedding", 10, "texts")
    counter.advance(1)
    with listen(reports.append):
        counter.advance(3)
        counter.advance(4)
    counter.advance(2)
    assert [(report.work, report.done, report.total, report.unit) for report in reports] == [
        ("embedding", 4, 10, "texts"),
        ("embedding", 8, 10, "texts"),
    ]
    assert counter.done == 10


def test_the_log_has_a_line_every_few_seconds(monkeypatch):
    clock, lines = [0.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    counter = ProgressCounter("reading", 40, log=lines.append, log_seconds=10)
    for clock[0] in (4.0, 9.0, 10.0, 15.0, 20.0):
        counter.advance(4)
    assert lines == [
        "reading: 12 of 40 rows, 1/s, 23 s left",
        "reading: 20 of 40 rows, 1/s, 20 s left",
    ]


def test_what_is_not_known_is_not_estimated():
    assert ProgressReport("reading", 5, None, 2.0, "rows").seconds_left is None
    assert ProgressReport("reading", 0, 5, 2.0, "rows").seconds_left is None
    assert str(ProgressReport("reading", 5, None, 2.0, "rows")) == "reading: 5 rows, 2/s"
    assert ProgressReport("reading", 5, 5, 0.0, "rows").rate == 0
