"""Signatures, level by level, against fits of counts made by hand."""

import numpy as np
import pytest

from errclust_pipeline.analysis.comparison import fit_signatures
from errclust_pipeline.analysis.comparison.signature_table import signature_records
from errclust_pipeline_tests.analysis.comparison.maps import small_map


def test_records_hold_the_counts_and_the_fit_of_each_level():
    questions = small_map(60)
    rng = np.random.default_rng(1)
    errors = {model: (rng.random(60) < 0.4).astype(float) for model in ("a", "b")}
    errors["b"][:10] = np.nan
    records = signature_records(errors, questions)
    labels, names = questions.region_labels()
    assert len(records) == sum(2 * len(regions) for regions in names)
    first = [record for record in records if record["level"] == 1]
    wrong = np.zeros((2, len(names[0])), dtype=int)
    total = np.zeros_like(wrong)
    for row, marks in enumerate(errors.values()):
        for mark, region in zip(marks, labels[:, 0], strict=True):
            if region >= 0 and not np.isnan(mark):
                total[row, region] += 1
                wrong[row, region] += int(mark)
    assert [record["questions"] for record in first] == total.ravel().tolist()
    assert [record["errors"] for record in first] == wrong.ravel().tolist()
    fit = fit_signatures(wrong, total)
    assert [record["deviation"] for record in first] == pytest.approx(fit.deviation.ravel())
    assert [record["excess"] for record in first] == pytest.approx(fit.excess.ravel())
