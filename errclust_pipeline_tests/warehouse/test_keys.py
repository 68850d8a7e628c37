import re

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.orchestration.partitions import (
    BENCHMARK_BY_MODEL,
    add_partitions,
    partition_key,
)
from errclust_pipeline.warehouse.keys import (
    MAX_KEY_LENGTH,
    KeyCodecError,
    SubmissionPartition,
    decode_key,
    encode_key,
    is_key,
)

NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name.strip() != "")
HOSTILE = st.text(alphabet="/_.-~|,[]\\ \0\n%aé日", min_size=1, max_size=12).filter(
    lambda name: name.strip() != ""
)


@given(NAMES | HOSTILE)
def test_a_name_that_fits_is_decoded_to_itself(name):
    key = encode_key(name)
    if "~~" not in key:
        assert decode_key(key) == name
    assert is_key(key)


@given(NAMES | HOSTILE, NAMES | HOSTILE)
def test_different_names_have_different_keys(one, other):
    assert (encode_key(one) == encode_key(other)) == (one == other)


@given(st.text(min_size=1, max_size=500).filter(lambda name: name.strip() != ""))
def test_a_key_is_short_and_safe_for_paths_and_for_dagster(name):
    key = encode_key(name)
    assert len(key) <= MAX_KEY_LENGTH
    assert re.fullmatch(r"[A-Za-z0-9._@+~-]+", key, re.ASCII)
    assert ".." not in key
    assert key[0] not in ".-"


@given(st.text(alphabet="ab_~./X0F", min_size=1, max_size=12))
def test_what_decodes_encodes_to_the_same_key(text):
    try:
        name = decode_key(text)
    except KeyCodecError:
        assert not is_key(text)
        return
    assert encode_key(name) == text


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Qwen/Qwen1.5-110B", "Qwen__Qwen1.5-110B"),
        ("mmlu_pro", "mmlu_pro"),
        ("we|ird", "we~7Cird"),
        ("../../etc", "~2E~2E__.~2E__etc"),
        ("a__b", "a~5F~5Fb"),
        ("-rf", "~2Drf"),
    ],
)
def test_keys_of_known_names(name, key):
    assert encode_key(name) == key
    assert decode_key(key) == name


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(KeyCodecError, match="give the model or benchmark a name"):
        encode_key(name)


def test_a_name_of_300_characters_has_a_key_of_its_own_that_cannot_be_decoded():
    one, other = encode_key("m" * 300), encode_key("m" * 301)
    assert one != other
    assert len(one) == len(other) == MAX_KEY_LENGTH
    with pytest.raises(KeyCodecError, match="too long"):
        decode_key(one)


@pytest.mark.parametrize("text", ["a/b", "a|b", "~7c", "~41", ".a", "a..b", "~FF"])
def test_text_that_no_name_encodes_to_is_refused(text):
    with pytest.raises(KeyCodecError):
        decode_key(text)


def test_dagster_loses_no_key_whatever_the_name_holds():
    names = ["org/model", "we|ird", "a,b", "c[0]", "d..e", "f\x00g", "…", "日本", "x" * 300]
    partitions = [SubmissionPartition.of_names(f"benchmark {name}", name) for name in names]
    with dg.instance_for_test() as instance:
        add_partitions(instance, partitions)
        known = set(BENCHMARK_BY_MODEL.get_partition_keys(dynamic_partitions_store=instance))
    assert {partition_key(partition) for partition in partitions} <= known
    assert len(known) == len(names) ** 2
