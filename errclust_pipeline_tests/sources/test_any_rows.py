"""Whatever JSON values stand in the fields a reader looks at, every row is accounted for."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline_tests.sources.formats import (
    test_lm_eval,
    test_mmlu_pro,
    test_table,
    test_tool_exports,
)
from errclust_pipeline_tests.sources.reading import Read, write_lines

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([2**70, 10**400, 1e300, 0.5, float("nan"), float("inf")])
    | st.sampled_from(["", "A", "(B)", "1", "²", "True", "-1.5", "text", "\ud800", "nan", "[{"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["text", "question", "choices", "label", "role", "content", "score"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
CHOSEN = test_lm_eval.chosen(0, [["-1", "True"], ["-2", "False"]], metrics=["acc_norm"])


def changed(good: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A good row with some of its fields replaced or left out."""
    fields = st.dictionaries(st.sampled_from(list(good)), VALUES, max_size=4)
    gone = st.sets(st.sampled_from(list(good)), max_size=2)
    return VALUES | st.builds(
        lambda new, without: {
            name: value for name, value in (good | new).items() if name not in without
        },
        fields,
        gone,
    )


@pytest.mark.parametrize(
    ("reader", "name", "good"),
    [
        ("lm_eval", f"samples_task_{test_lm_eval.TIME}.jsonl", test_lm_eval.generated(0)),
        ("lm_eval", f"samples_task_{test_lm_eval.TIME}.jsonl", CHOSEN),
        ("mmlu_pro", "model_outputs_m_5shots.json", test_mmlu_pro.row(0)),
        ("table", "t.jsonl", test_table.row(0, subject="s", choices=["a"], metadata={})),
        ("promptfoo", "p.jsonl", test_tool_exports.promptfoo_row(0)),
        ("deepeval", "test_run.json", test_tool_exports.deepeval_case(0)),
        ("verifiers", "traces.jsonl", test_tool_exports.episode(0)),
        ("verifiers", "results.jsonl", test_tool_exports.verifiers_result(0)),
    ],
    ids=[
        "lm_eval generated",
        "lm_eval chosen",
        "mmlu_pro",
        "table",
        "promptfoo",
        "deepeval",
        "verifiers",
        "verifiers before",
    ],
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_row_is_accounted_for(
    reader: str, name: str, good: dict[str, Any], data: st.DataObject
) -> None:
    rows = [good, *data.draw(st.lists(changed(good), min_size=1, max_size=6))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        if reader == "mmlu_pro":
            path.write_text(json.dumps(rows))
        elif reader == "deepeval":
            path.write_text(json.dumps(test_tool_exports.deepeval_run(rows)))
        else:
            write_lines(path, rows)
        options = {"model": "m"} if name == "results.jsonl" else {}
        submissions = find_submissions(path, reader=reader, options=options)
        # Submissions are sorted by name, so the good row's need not be the first.
        owner = {
            "promptfoo": lambda: (submissions[0].benchmark, good["provider"]["id"]),
            "table": lambda: (good["dataset"], good["model"]),
        }.get(reader, lambda: (submissions[0].benchmark, submissions[0].model))()
        assert owner in {(submission.benchmark, submission.model) for submission in submissions}
        for submission in submissions:
            try:
                read = Read(submission)
            except SourceError:
                # Another owner's rows in a table may all be unusable; the good row's may not.
                if (submission.benchmark, submission.model) == owner:
                    raise
                continue
            if name != "traces.jsonl":  # An episode may hold no trace, or several.
                assert read.total == len(rows)
