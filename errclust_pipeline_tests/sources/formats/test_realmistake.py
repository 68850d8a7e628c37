import contextlib
import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline.cli.common import BAD_INPUT
from errclust_pipeline.sources import SourceError, Submission, find_submissions
from errclust_pipeline.sources.formats.realmistake import PASSWORD_VARIABLE, TASKS
from errclust_pipeline_tests.conftest import REAL_DATA
from errclust_pipeline_tests.sources.reading import Read, write_lines

PASSWORD = "secret"
SECRET_TEXT = "a sentence that nobody may quote"
FACTS = "finegrained_fact_verification"


def row(number: int, label: str = "error", task: str = FACTS, **changes: Any) -> dict[str, Any]:
    return {
        "input": f"{SECRET_TEXT} {number}?",
        "llm_response": f"{SECRET_TEXT} {number}.",
        "error_label": label,
        "human_explanation": "The second claim is not in the passage." if label == "error" else "",
        "error_categories": ["Context-Faithfulness"] if label == "error" else [],
        "metadata": {
            "id": f"{task}_{number}",
            "task_name": task,
            "task_source": "wice",
            "llm_response_model": "org/model-70b",
            "dataset": "realmistake",
            "difficulty": "difficult",
        },
    } | changes


def zip_crypto(content: bytes, password: str, check: int) -> bytes:
    """Encrypt as PKZIP did; Python's own module only decrypts."""
    keys = [0x12345678, 0x23456789, 0x34567890]
    table = [zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)]

    def crc(value: int, byte: int) -> int:
        return (value >> 8) ^ table[(value ^ byte) & 0xFF]

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = (keys[1] + (keys[0] & 0xFF)) & 0xFFFFFFFF
        keys[1] = (keys[1] * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for byte in password.encode():
        update(byte)
    encrypted = bytearray()
    for byte in bytes(11) + bytes([check]) + content:
        mixed = keys[2] | 2
        encrypted.append(byte ^ (((mixed * (mixed ^ 1)) >> 8) & 0xFF))
        update(byte)
    return bytes(encrypted)


def write_encrypted(path: Path, members: dict[str, bytes], password: str = PASSWORD) -> Path:
    """Write a zip as the authors' is: each member deflated, then encrypted."""
    body, directory = bytearray(), bytearray()
    for name, content in members.items():
        check = zlib.crc32(content)
        deflated = zlib.compress(content)[2:-4]
        payload = zip_crypto(deflated, password, check >> 24)
        shared = struct.pack(
            "<HHHHHIIIHH", 20, 1, 8, 0, 33, check, len(payload), len(content), len(name), 0
        )
        offset = len(body)
        body += b"PK\x03\x04" + shared + name.encode() + payload
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + shared
        directory += struct.pack("<HHHII", 0, 0, 0, 0, offset) + name.encode()
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\x05\x06" + end)
    return path


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in rows).encode()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    rows = [row(1), row(2, "no_error"), row(3)]
    members = {
        "data/example.jsonl": lines(rows[:1]),
        f"data/{FACTS}/model-70b.jsonl": lines(rows),
        "data/README.md": b"notes",
    }
    return write_encrypted(tmp_path / "data.zip", members)


@pytest.mark.usefixtures("password")
def test_the_encrypted_zip_is_read_with_its_password(archive: Path) -> None:
    [submission] = find_submissions(archive)
    assert (submission.benchmark, submission.model) == (f"realmistake_{FACTS}", "org/model-70b")
    read = Read(submission)
    expected = {
        "example_id": f"{FACTS}_1",
        "response": f"{SECRET_TEXT} 1.",
        "score": 0.0,
        "correct": False,
        "metric": "error_label",
        "extraction_recorded": False,
        "position": 0,
    }
    assert {name: read.rows[0][name] for name in expected} == expected
    assert json.loads(read.rows[0]["metadata"]) == {
        "error_categories": ["Context-Faithfulness"],
        "human_explanation": "The second claim is not in the passage.",
        "task_source": "wice",
        "difficulty": "difficult",
    }
    assert [one["correct"] for one in read.rows] == [False, True, False]
    assert [file.name for file in archive.parent.iterdir()] == ["data.zip"]


@pytest.mark.usefixtures("password")
def test_the_password_is_no_part_of_what_is_recorded(archive: Path) -> None:
    [submission] = find_submissions(archive)
    record = submission.to_json()
    assert PASSWORD not in record
    assert Read(Submission.from_json(record)).rows == Read(submission).rows


@pytest.mark.parametrize("given_password", [None, "", "wrong"])
def test_without_its_password_the_zip_is_refused_with_a_remedy(
    archive: Path, given_password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    if given_password is not None:
        monkeypatch.setenv(PASSWORD_VARIABLE, given_password)
    with pytest.raises(SourceError, match=f"{PASSWORD_VARIABLE}.*README"):
        find_submissions(archive)


def test_a_wrong_password_that_passes_the_check_byte_is_found_out(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = set()
    for number in range(600):  # One in 256 passes it, and then nothing fits.
        monkeypatch.setenv(PASSWORD_VARIABLE, f"wrong {number}")
        with pytest.raises(SourceError) as error:
            find_submissions(archive)
        messages.add(str(error.value))
        cause = error.value.__cause__
        if cause is not None and not isinstance(cause, RuntimeError):
            break
    else:
        pytest.fail("no password passed")
    assert len(messages) == 1


@pytest.mark.parametrize("split", ["gpt4", "llama2"])
def test_files_of_the_hub_read_as_the_zip_does(tmp_path: Path, split: str) -> None:
    task = "math_word_problem_generation"
    # The rows call this task otherwise than the folders do.
    rows = [row(number, task="math_problem_generation") for number in range(3)]
    parquet = tmp_path / "hub" / task / f"{split}-00000-of-00001.parquet"
    parquet.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    json_lines = write_lines(tmp_path / "files" / task / f"{split}.jsonl", rows)
    reads = []
    for path in (parquet, json_lines, parquet.parent, json_lines.parents[1]):
        [submission] = find_submissions(path)
        assert submission.reader == "realmistake"
        assert submission.benchmark == f"realmistake_{task}"
        reads.append([{**one, "source": None, "revision": None} for one in Read(submission).rows])
    assert reads[0] == reads[1] == reads[2] == reads[3]


def test_rows_in_the_authors_older_naming_are_read(tmp_path: Path) -> None:
    older = row(1)
    older["label"] = older.pop("error_label")
    [submission] = find_submissions(write_lines(tmp_path / "a.jsonl", [older]))
    assert not Read(submission).rows[0]["correct"]


def test_unusable_rows_are_rejected_and_their_text_is_not_quoted(tmp_path: Path) -> None:
    other = row(7)
    other["metadata"]["llm_response_model"] = "another"
    rows = [
        row(1),
        SECRET_TEXT,
        row(2, "perhaps"),
        row(1),
        row(3, input=None),
        row(4, metadata=SECRET_TEXT),
        row(5, metadata={**row(5)["metadata"], "id": SECRET_TEXT * 100}),
        row(6, error_categories=SECRET_TEXT),
        other,
        row(8, llm_response=None, human_explanation=None, error_categories=None),
    ]
    path = write_lines(tmp_path / "rows.jsonl", rows)
    with path.open("a") as file:
        file.write(f'{{"input": "{SECRET_TEXT}" oops}}\n{{"input": "{SECRET_TEXT}')
    [submission] = find_submissions(path)
    read = Read(submission)
    assert read.reasons == [
        "not_an_object",
        "unreadable_verdict",
        "duplicate_id",
        "missing_question",
        "missing_field",
        "missing_field",
        "unreadable_categories",
        "other_owner",
        "invalid_json",
        "truncated_file",
    ]
    assert [one["response"] for one in read.rows] == [f"{SECRET_TEXT} 1.", ""]
    assert read.total == len(rows) + 2
    assert SECRET_TEXT not in repr(read.rejects)


def test_the_command_line_shows_none_of_its_text(
    archive: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRCLUST_ROOT", str(root))
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    refused = CliRunner().invoke(app, ["ingest", str(archive)])
    assert (refused.exit_code, "Traceback" in refused.output) == (BAD_INPUT, False)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    for command in (["ingest", str(archive)], ["ingest", str(archive), "--json"], ["status"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0
        assert FACTS in " ".join(done.output.split())
        assert SECRET_TEXT not in " ".join(done.output.split())


def test_an_error_over_the_whole_file_does_not_quote_it(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [row(1, SECRET_TEXT), row(2, None)])
    [submission] = find_submissions(path)
    with pytest.raises(SourceError, match="unreadable_verdict 2x") as error:
        Read(submission)
    assert SECRET_TEXT not in str(error.value)


def test_one_name_for_several_results_is_refused(tmp_path: Path) -> None:
    for task in TASKS[1:]:
        write_lines(tmp_path / task / "gpt4.jsonl", [row(1, task=task)])
    assert len(find_submissions(tmp_path)) == 2
    for option in ("model", "benchmark"):
        with pytest.raises(SourceError, match="names only one"):
            find_submissions(tmp_path, options={option: "x"})


@pytest.mark.usefixtures("password")
def test_a_zip_whose_member_is_gone_is_told(archive: Path) -> None:
    [submission] = find_submissions(archive)
    write_encrypted(archive, {"data/other.jsonl": b"{}"})
    with pytest.raises(SourceError, match="any more"):
        Read(submission)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "error", "no_error", "\ud800", SECRET_TEXT, "x" * 3_000])
    | st.lists(st.sampled_from([None, 1, "a", [], {}]), max_size=3)
    | st.dictionaries(st.sampled_from(["id", "task_name"]), st.sampled_from(["", "a", 3]))
)
CHANGES = st.dictionaries(
    st.sampled_from([*row(0), "label"]) | st.sampled_from([*row(0)["metadata"]]), VALUES, max_size=3
)


def changed(number: int, change: Any, dropped: str | None) -> Any:
    """A good row with fields of its own and of its metadata replaced, and one left out."""
    if not isinstance(change, dict):
        return change
    good = row(number)
    metadata = good["metadata"]
    for name, value in change.items():
        (metadata if name in metadata else good)[name] = value
    return {name: value for name, value in good.items() if name != dropped}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    changes=st.lists(CHANGES | VALUES, max_size=4),
    dropped=st.sampled_from([None, *row(0)]),
    encrypted=st.booleans(),
    cut=st.integers(0, 400),
    flipped=st.none() | st.integers(0, 10**6),
    given_password=st.sampled_from([PASSWORD, "wrong"]),
)
def test_whatever_the_file_it_ends_in_rows_rejects_or_one_error(
    changes: list[Any],
    dropped: str | None,
    encrypted: bool,
    cut: int,
    flipped: int | None,
    given_password: str,
) -> None:
    rows = [row(0), *(changed(number, change, dropped) for number, change in enumerate(changes, 1))]
    content = lines(rows)
    content = content[: max(1, len(content) - cut)] if cut % 3 == 0 else content
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_VARIABLE, given_password)
        if encrypted:
            path = write_encrypted(Path(folder, "data.zip"), {f"data/{FACTS}/m.jsonl": content})
        else:
            path = Path(folder, "m.jsonl")
            path.write_bytes(content)
        if flipped is not None:
            raw = bytearray(path.read_bytes())
            raw[flipped % len(raw)] ^= 0x41
            path.write_bytes(raw)
        with contextlib.suppress(SourceError):
            for submission in find_submissions(path, reader="realmistake"):
                read = Read(submission)
                assert all(reject["excerpt"] is None for reject in read.rejects)
                assert SECRET_TEXT not in repr(read.rejects)
                if flipped is None and content == lines(rows):
                    assert read.total == len(rows)


REAL_PASSWORD = "open-realmistake"  # its README publishes it


def test_the_real_zip_gives_the_counts_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    path = REAL_DATA / "realmistake" / "data.zip"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    expected: dict[tuple[str, str], Counter[str]] = {}
    categories: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        archive.setpassword(REAL_PASSWORD.encode())
        for name in archive.namelist():
            folder, _, file = name.rpartition("/")
            if not file.endswith(".jsonl") or folder == "data":
                continue
            for line in io.TextIOWrapper(io.BytesIO(archive.read(name)), "utf-8"):
                one = json.loads(line)
                key = (folder.rpartition("/")[2], one["metadata"]["llm_response_model"])
                expected.setdefault(key, Counter())[one["error_label"]] += 1
                categories.update(one["error_categories"])
    assert sum(counts.total() for counts in expected.values()) == 900
    monkeypatch.setenv(PASSWORD_VARIABLE, REAL_PASSWORD)
    found, kept = {}, Counter[str]()
    for submission in find_submissions(path):
        read = Read(submission)
        assert not read.rejects
        task = submission.benchmark.removeprefix("realmistake_")
        wrong = sum(not one["correct"] for one in read.rows)
        found[task, submission.model] = Counter(error=wrong, no_error=len(read.rows) - wrong)
        for one in read.rows:
            kept.update(json.loads(one["metadata"])["error_categories"])
    # Compared without showing either: a failing test prints what it compares.
    assert found == expected
    assert kept == categories
