"""Names of objects, and other spellings of these names."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.ztf.labelled import LabelledObjects
from skymill.ztf.object_ids import OBJECT_ID, ZTF_NAME, as_bytes, respelt, ztf_name

NAMES = st.from_regex(ZTF_NAME, fullmatch=True)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ZTF18abcdefg", None),
        ("ztf18abcdefg", "ZTF18abcdefg"),
        ("ZTF18ABCDEFG", "ZTF18abcdefg"),
        ("18abcdefg", "ZTF18abcdefg"),
        ("2018abcdefg", "ZTF18abcdefg"),
        ("ZTF_18abcdefg", "ZTF18abcdefg"),
        ("ZTF 18 abcdefg", "ZTF18abcdefg"),
        ("alerce.ZTF18abcdefg", "ZTF18abcdefg"),
        ("https://alerce.online/object/ZTF18abcdefg", "ZTF18abcdefg"),
        ("b'ZTF18abcdefg'", "ZTF18abcdefg"),
        ("ZTF18abcdefgh", None),
        ("ZTF18abcdef", None),
        ("SN2018abc", None),
        ("17", None),
        ("1234567890123", None),
        ("", None),
    ],
)
def test_a_spelling_represents_a_name(text, name):
    assert ztf_name(text) == name


@given(NAMES, st.sampled_from([0, 1]))
def test_the_numbers_of_the_newer_database_represent_names(name, survey):
    number = int(name[3:5])
    for letter in name[5:]:
        number = number * 26 + ord(letter) - ord("a")
    expected = name if name[3:5] >= "17" else None
    assert ztf_name(str(survey * 2**55 + number)) == (expected if number >= 10**7 else None)
    assert ztf_name(f"{survey * 2**55 + number}.0") == (expected if number >= 10**7 else None)


@given(NAMES)
def test_a_name_in_the_spelling_of_ztf_represents_only_itself(name):
    assert ztf_name(name) is None
    assert re.fullmatch(OBJECT_ID, name)


def test_other_spellings_in_a_list_are_found():
    names = pa.chunked_array([["ZTF18abcdefg", "ztf18abcdefh"], ["17", "18abcdefi", "18ABCDEFI"]])
    assert respelt(names) == {"ZTF18abcdefh": "ztf18abcdefh", "ZTF18abcdefi": "18abcdefi"}


@given(st.sets(NAMES, max_size=8), st.sets(NAMES, max_size=8))
def test_alerts_whose_object_is_listed_in_another_spelling_are_counted(listed, asked):
    labelled = LabelledObjects(as_bytes([]), as_bytes([*listed]))
    ids = np.array([name.encode() for name in sorted(asked)] or [], "S32")
    assert labelled.count_respelt(ids) == len(listed & asked)
    assert not labelled.contain(ids).any()
