import json

from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline_tests.helpers.rejected_rows import PROVENANCE


def test_provenance_survives_encoding():
    decoded = Provenance.from_metadata(PROVENANCE.to_metadata())
    assert decoded == PROVENANCE
    assert json.loads(PROVENANCE.to_metadata()[b"errclust.settings"]) == {"text": "question"}


def test_metadata_without_a_whole_provenance_hold_none():
    assert Provenance.from_metadata(None) is None
    encoded = PROVENANCE.to_metadata()
    assert Provenance.from_metadata(encoded | {b"errclust.inputs": b"{"}) is None
    del encoded[b"errclust.stage"]
    assert Provenance.from_metadata(encoded) is None
