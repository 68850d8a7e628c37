import json
import sys

import pytest

from errclust_pipeline.hub import dataset_files
from errclust_pipeline.hub.address import HubAddress
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.dataset_files import fetch_data_files, list_data_files, splits_of
from errclust_pipeline.hub.errors import HubError
from errclust_pipeline.sources import SourceError
from errclust_pipeline.training.pool import read_pool
from errclust_pipeline_tests.helpers.hub_server import HubServer
from errclust_pipeline_tests.helpers.leaderboards import parquet

ENDINGS = (".csv", ".jsonl", ".parquet")


def rows(*names: str) -> bytes:
    return "".join(
        json.dumps({"question": name, "answer": name.upper()}) + "\n" for name in names
    ).encode()


def card(configs: str) -> bytes:
    return f"---\nlicense: mit\nconfigs:\n{configs}---\n# A pool\n".encode()


TWO_CONFIGS = card(
    """- config_name: algebra
  data_files:
  - split: train
    path: algebra/part-*.parquet
  - split: test
    path: algebra/held_out.parquet
- config_name: words
  data_files: words/*.jsonl
"""
)


def splits(config: str | None = None) -> dict[str, list[str]] | None:
    client = Hub()
    dataset = list_data_files(client, HubAddress("org", "pool"), ENDINGS, "examples")
    found = splits_of(client, dataset, config)
    if found is None:
        return None
    return {split: [file.path for file in dataset.files] for split, dataset in found.items()}


@pytest.fixture
def two_configs(hub: HubServer) -> HubServer:
    example = parquet([{"question": "1 + 1?", "answer": "2"}])
    hub.add(
        "org/pool",
        {
            "README.md": TWO_CONFIGS,
            "algebra/part-0.parquet": example,
            "algebra/part-1.parquet": example,
            "algebra/held_out.parquet": example,
            "words/a.jsonl": rows("a"),
            "unlisted.csv": b"question,answer\n1,2\n",
        },
    )
    return hub


def test_splits_are_those_of_the_card(two_configs: HubServer) -> None:
    assert splits("algebra") == {
        "train": ["algebra/part-0.parquet", "algebra/part-1.parquet"],
        "test": ["algebra/held_out.parquet"],
    }
    assert splits("words") == {"train": ["words/a.jsonl"]}
    # No data file was opened.
    assert not two_configs.count(".parquet")


@pytest.mark.usefixtures("two_configs")
def test_a_configuration_has_to_be_chosen_and_to_exist() -> None:
    with pytest.raises(SourceError, match="configurations algebra, words: choose one with --con"):
        splits()
    with pytest.raises(SourceError, match="no configuration 'wrods'; it has: algebra, words"):
        splits("wrods")


def test_without_a_card_splits_are_told_by_the_names_of_files(hub: HubServer) -> None:
    hub.add("org/pool", {"train.jsonl": rows("a", "b"), "test.jsonl": rows("c")})
    assert splits() == {"train": ["train.jsonl"], "test": ["test.jsonl"]}
    hub.add("org/one", {"pool.jsonl": rows("a", "b")})
    assert read_pool("hf:org/one", {}).examples[1].example_id == "pool.jsonl:1"


def test_a_pool_is_one_split_of_one_configuration(two_configs: HubServer) -> None:
    pool = read_pool("hf:org/pool", {}, "train", "algebra")
    head = two_configs.repository("org/pool").head
    assert pool.name == f"hf://datasets/org/pool@{head}"
    assert [example.example_id for example in pool.examples] == ["algebra/part-0.parquet:0"]
    assert pool.left_out == {"repeated": 1}
    # The other split did not come over the network.
    assert not two_configs.count("held_out.parquet")
    with pytest.raises(SourceError, match="splits test, train: choose one with --split"):
        read_pool("hf:org/pool", {}, None, "algebra")
    with pytest.raises(SourceError, match="no split 'dev'; it has: test, train"):
        read_pool("hf:org/pool", {}, "dev", "algebra")


@pytest.mark.usefixtures("two_configs")
def test_a_file_that_is_named_is_read_as_it_is() -> None:
    assert len(read_pool("hf:org/pool/unlisted.csv", {}).examples) == 1
    assert read_pool("hf:org/pool/words", {}).examples[0].answer == "A"
    with pytest.raises(SourceError, match="no configurations: leave --config out"):
        read_pool("hf:org/pool/words", {}, config="words")


@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd", "file:///etc/passwd", "../../secret.jsonl", "data/../../secret.jsonl",
        "http://127.0.0.1:9/x.jsonl", "hf://datasets/other/pool/x.jsonl",
        "zip://x.jsonl::http://127.0.0.1:9/x.zip", "~/x.jsonl",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "where",
    ["data_files: '{}'", "data_files:\n  - split: a\n    path: ['{}']", "data_dir: '{}'"],
)
def test_a_card_that_names_files_outside_its_dataset_is_refused_unopened(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, place: str, where: str
) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset_builder", pytest.fail)
    files = {"README.md": card(f"- config_name: a\n  {where.format(place)}\n")}
    hub.add("org/pool", files | {"train.jsonl": rows("a")})
    with pytest.raises(SourceError, match="names a file outside the dataset"):
        splits()
    named = {".huggingface.yaml": files["README.md"].split(b"---")[1]}
    hub.add("org/pool", named | {"train.jsonl": rows("a")})
    with pytest.raises(SourceError, match=r"\.huggingface\.yaml of .* names a file outside"):
        splits()


def test_a_dataset_with_code_of_its_own_is_refused_and_the_code_is_not_run(
    hub: HubServer,
) -> None:
    script = b"import sys\nsys.modules['ran_code_of_a_dataset'] = sys\n"
    hub.add("org/pool", {"pool.py": script, "data/train.jsonl": rows("a")})
    with pytest.raises(SourceError, match=r"no longer supported.*hf:org/pool/data/train.jsonl"):
        splits()
    assert "ran_code_of_a_dataset" not in sys.modules
    assert len(read_pool("hf:org/pool/data/train.jsonl", {}).examples) == 1


@pytest.mark.parametrize(
    ("readme", "message"),
    [
        (card("- config_name: a\n  data_files: x.csv\n  sep: ';'\n"), "'a' of .* sets sep"),
        (card("- config_name: a\n  data_files: x.csv\n  skiprows: 2\n"), "sets skiprows"),
        (card("- config_name: a\n  data_files: none/*.csv\n"), "cannot be read|None"),
        (b"---\nconfigs: 7\n---\n", "README.md of .* is no card that can be read"),
        (b"---\n- [\n---\n", "README.md of .* is no card that can be read"),
    ],
)
def test_a_card_that_cannot_be_followed_is_an_error_that_says_why(
    hub: HubServer, readme: bytes, message: str
) -> None:
    hub.add("org/pool", {"README.md": readme, "x.csv": b"question,answer\n1,2\n"})
    if "None" in message:
        assert splits() is None
        return
    with pytest.raises(SourceError, match=message):
        splits()


@pytest.mark.usefixtures("two_configs")
def test_a_dataset_that_is_too_large_is_refused_before_it_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataset_files, "MAX_BYTES", 10)
    client = Hub()
    dataset = list_data_files(client, HubAddress("org", "pool"), ENDINGS, "examples")
    with pytest.raises(SourceError, match=r"name a folder or file in it, e.g. hf:org/pool/alg"):
        fetch_data_files(client, dataset)
    monkeypatch.setattr(dataset_files, "_MAX_CARD_BYTES", 10)
    with pytest.raises(SourceError, match="too large for a card"):
        splits_of(client, dataset)


def test_a_hub_that_fails_while_splits_are_asked_for_is_told(two_configs: HubServer) -> None:
    client = Hub()
    dataset = list_data_files(client, HubAddress("org", "pool"), ENDINGS, "examples")
    two_configs.fail("/tree/", 403, times=9)
    with pytest.raises(HubError):
        splits_of(client, dataset, "algebra")
