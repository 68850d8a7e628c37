import json
import time
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.errors import HubBusyError, HubError, HubMissingError
from errclust_pipeline.progress import ProgressReport, listen
from errclust_pipeline_tests.helpers.hub_server import TREE_PAGE, HubServer, hub_file

FILES = {
    "README.md": b"# evals",
    "runs/a b.json": b"[1, 2]" * 20_000,
    "runs/details|x:y|5 [1].parquet": b"PAR1" * 20_000,
}


def fetch_all(name: str) -> list[Path]:
    hub = Hub()
    commit = hub.commit(name)
    return hub.fetch(name, commit, hub.files(name, commit))


def test_files_are_listed_with_their_hashes(hub: HubServer) -> None:
    repository = hub.add("org/evals", FILES)
    client = Hub()
    assert client.commit("org/evals") == repository.head
    expected = [hub_file(path, data) for path, data in sorted(FILES.items())]
    assert client.files("org/evals", repository.head) == expected
    assert client.files("org/evals", repository.head, "runs") == expected[1:]
    assert client.files("org/evals", repository.head, "runs/a b.json") == expected[1:2]


def test_a_long_listing_comes_in_pages(hub: HubServer) -> None:
    many = {f"runs/{number}.json": b"[]" for number in range(2 * TREE_PAGE + 5)}
    repository = hub.add("org/evals", many)
    assert len(Hub().files("org/evals", repository.head)) == len(many)
    assert hub.count("/tree/") == 3


def test_files_are_fetched_once_and_lie_where_their_path_says(hub: HubServer) -> None:
    repository = hub.add("org/evals", FILES)
    seen: list[ProgressReport] = []
    with listen(seen.append):
        paths = fetch_all("org/evals")
    folder = Path(
        constants.HF_ASSETS_CACHE, "errclust", "datasets", "org", repository.head, "evals"
    )
    assert {str(path.relative_to(folder)): path.read_bytes() for path in paths} == FILES
    assert seen[-1].done == seen[-1].total == sum(map(len, FILES.values())) // 1000
    before = len(hub.requests)
    assert fetch_all("org/evals") == paths
    assert len(hub.requests) == before + 2  # The commit and the listing.


def test_a_changed_or_cut_file_on_the_disk_is_fetched_again(hub: HubServer) -> None:
    hub.add("org/evals", FILES)
    readme, runs, large = fetch_all("org/evals")
    readme.write_bytes(b"# other")
    large.write_bytes(large.read_bytes()[:-1])
    runs.unlink()
    fetch_all("org/evals")
    assert [one.read_bytes() for one in (readme, runs, large)] == list(FILES.values())


def test_a_connection_cut_in_the_middle_of_a_file_is_taken_up_again(hub: HubServer) -> None:
    hub.add("org/evals", FILES)
    hub.cut("a b.json", keep_bytes=1_000)
    hub.cut("/large/", keep_bytes=1_000)
    assert {path.read_bytes() for path in fetch_all("org/evals")} == set(FILES.values())


def test_a_hub_that_cuts_for_good_leaves_nothing_half_written(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    repository = hub.add("org/evals", FILES)
    hub.cut("a b.json", keep_bytes=0, times=100)
    with pytest.raises(HubBusyError, match="What was fetched is kept"):
        fetch_all("org/evals")
    folder = Path(
        constants.HF_ASSETS_CACHE, "errclust", "datasets", "org", repository.head, "evals"
    )
    left = {path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts}
    assert {path.read_bytes() for path in left} <= {FILES["README.md"], *FILES.values()}
    assert not list(folder.rglob("*.incomplete"))


@pytest.mark.parametrize(
    "content", [b"[3, 4]" * 20_000, b"<html>sign in</html>"], ids=["as long", "shorter"]
)
def test_another_content_than_was_listed_is_not_kept(hub: HubServer, content: bytes) -> None:
    hub.add("org/evals", FILES)
    hub.corrupt("a b.json", content)
    with pytest.raises(HubBusyError, match=r"a b\.json"):
        fetch_all("org/evals")
    assert {path.read_bytes() for path in fetch_all("org/evals")} == set(FILES.values())


def test_a_gated_dataset_says_which_page_to_accept(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.add("org/gated", FILES, gated=True)
    hub.tokens = {"hf_member", "hf_other"}
    repository.members = {"hf_member"}
    page = f"{hub.url}/datasets/org/gated"
    with pytest.raises(HubError, match=rf"accept its terms on {page}, then set HF_TOKEN"):
        fetch_all("org/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(HubError, match="the account of your token has no access") as refused:
        fetch_all("org/gated")
    assert page in str(refused.value)
    assert "hf_other" not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    assert len(fetch_all("org/gated")) == len(FILES)


def test_the_token_goes_to_the_hub_only(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Large files come from another host; an unknown token would be refused there too.
    hub.tokens = {"hf_member"}
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    hub.add("org/evals", FILES)
    fetch_all("org/evals")
    assert hub.count("GET /large/") == 1
    assert hub.with_token.isdisjoint(one for one in hub.requests if "/large/" in one)
    assert any("/resolve/" in one for one in hub.with_token)


def test_a_token_that_the_hub_does_not_know_is_said_to_be(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("org/evals", FILES)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"does not accept your token.*settings/tokens"):
        Hub().commit("org/evals")


def test_what_is_missing_is_named(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = hub.add("org/evals", FILES)
    hub.add("org/private", FILES, private=True)
    hub.tokens = {"hf_other"}
    for token, hint in ((None, "set HF_TOKEN"), ("hf_other", "of another account")):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        for name in ("org/nothing", "org/private"):
            with pytest.raises(HubMissingError, match=f"no dataset .*{name}.*{hint}"):
                Hub().commit(name)
    with pytest.raises(HubError, match="no revision 'dev'"):
        Hub().commit("org/evals", "dev")
    with pytest.raises(HubError, match="no runs/b at revision"):
        Hub().files("org/evals", repository.head, "runs/b")
    with pytest.raises(HubError, match="cannot be a dataset's name"):
        Hub().commit("org/a/b")


def test_a_busy_hub_is_asked_again_when_it_says(hub: HubServer) -> None:
    repository = hub.add("org/evals", FILES)
    hub.fail("/api/datasets/org/evals", 429, Retry_After="1")
    started = time.monotonic()
    assert Hub().commit("org/evals") == repository.head
    assert time.monotonic() - started >= 1


def test_files_of_a_busy_hub_are_fetched_all_the_same(hub: HubServer) -> None:
    hub.add("org/evals", {"README.md": b"# evals"})
    hub.fail("GET /datasets/org/evals/resolve", 429, Retry_After="0")
    [path] = fetch_all("org/evals")
    assert path.read_bytes() == b"# evals"


def test_a_hub_that_wants_to_be_left_alone_for_long_is(hub: HubServer) -> None:
    hub.add("org/evals", FILES)
    hub.fail("/api/datasets/org/evals", 429, Retry_After="1800")
    with pytest.raises(HubBusyError, match=r"again in 1,800 seconds; with a token in HF_TOKEN"):
        Hub().commit("org/evals")
    hub.fail("/api/datasets/org/evals", 429, RateLimit='"api";r=0;t=95')
    with pytest.raises(HubBusyError, match="again in 95 seconds"):
        Hub().commit("org/evals")


def test_a_hub_out_of_order_says_so(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errclust_pipeline.hub.client._WAITS_SECONDS", (0, 0))
    hub.add("org/evals", FILES)
    hub.fail("/api/datasets/org/evals", 503, times=3)
    with pytest.raises(HubBusyError, match=r"out of order \(status 503"):
        Hub().commit("org/evals")
    assert hub.count("/api/datasets/org/evals") == 3


@pytest.mark.usefixtures("hub")
def test_no_hub_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubBusyError, match=r"127\.0\.0\.1:9 cannot be reached"):
        Hub().commit("org/evals")


GOOD_ENTRY = {"type": "file", "path": "a.json", "size": 2, "oid": "0" * 40}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "sha", "type", "path", "size", "oid", "lfs", "siblings"]), inner
        )
    ),
    max_leaves=6,
)
ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(sorted(GOOD_ENTRY)), JSON).map(lambda new: GOOD_ENTRY | new)
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(answer=(JSON | ENTRIES).map(json.dumps) | st.sampled_from(["", "<html>", '{"sha"', "[{}"]))
def test_whatever_a_hub_answers_ends_in_a_listing_or_one_error(hub: HubServer, answer: str) -> None:
    hub.add("org/evals", FILES)
    for path, ask in (
        ("/api/datasets/org/evals", lambda: Hub().commit("org/evals")),
        ("/tree/", lambda: Hub().files("org/evals", "0" * 40)),
    ):
        hub.say(path, answer.encode())
        try:
            found = ask()
        except HubError:
            continue
        if isinstance(found, str):
            assert found
        else:
            assert all(isinstance(one.path, str) and isinstance(one.size, int) for one in found)


def test_offline_what_is_kept_is_used_and_the_rest_is_named(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.add("org/evals", FILES)
    paths = fetch_all("org/evals")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    files = [hub_file(path, data) for path, data in sorted(FILES.items())]
    assert Hub().fetch("org/evals", repository.head, files) == paths
    paths[0].unlink()
    with pytest.raises(HubError, match="HF_HUB_OFFLINE forbids") as refused:
        Hub().fetch("org/evals", repository.head, files)
    assert not isinstance(refused.value, HubBusyError)  # No retry does without it.


def test_a_listing_that_leads_out_of_the_folder_is_refused(hub: HubServer) -> None:
    repository = hub.add("org/evals", {"../../x.json": b"[]"})
    with pytest.raises(HubError, match="do not trust this dataset"):
        Hub().files("org/evals", repository.head)
