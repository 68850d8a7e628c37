import pytest

from errclust_pipeline.hub.address import HubAddress
from errclust_pipeline.hub.errors import HubError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:org/evals", HubAddress("org", "evals")),
        ("hf:org", HubAddress("org")),
        ("hf:datasets/org/evals", HubAddress("org", "evals")),
        ("hf://datasets/org/evals/", HubAddress("org", "evals")),
        ("hf:org/evals@dev/a/b.json", HubAddress("org", "evals", "dev", "a/b.json")),
        (
            "hf://datasets/org/evals@refs%2Fpr%2F1/x|y:z [1]",
            HubAddress("org", "evals", "refs/pr/1", "x|y:z [1]"),
        ),
    ],
)
def test_addresses_are_read_and_written(text: str, expected: HubAddress) -> None:
    assert HubAddress.parse(text) == expected
    assert HubAddress.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["hf:", "hf:models/a/b", "hf:../a", "hf:a/..", "hf:a/b c", "a/b", "hf:a/b/../c"]
)
def test_what_is_no_address_says_how_to_write_one(text: str) -> None:
    with pytest.raises(HubError, match="hf:owner/dataset"):
        HubAddress.parse(text)
