"""Lines have the values that Python's json reads, or are rejected with a reason."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from records import ABSENT, document, physical_values, record, same_bits

from skymill.magnetic.parse import MAX_RECORD_ID, RejectedLine, parse_line, reject_unusable
from skymill.magnetic.schema import INDEX, LABELS, PARAMETERS, STEPS

SHAPE = (len(PARAMETERS), STEPS)


def accept(line, *, labelled=True):
    """Return (id, label, values) as ingest reads a line, or raise RejectedLine."""
    values = np.full((1, *SHAPE), -1.0)
    source_id, label = parse_line(line, values[0], labelled=labelled)
    for _, why in reject_unusable(values):
        raise why
    return source_id, label, values[0]


def reason_of(line, *, labelled=True):
    with pytest.raises(RejectedLine) as caught:
        accept(line, labelled=labelled)
    return caught.value.reason


def refusal(line, labelled):
    """Return the reason why a line is rejected, None when it is accepted."""
    try:
        accept(line, labelled=labelled)
    except RejectedLine as why:
        why.detail.encode()  # the quarantine is UTF-8
        return why.reason if why.detail else pytest.fail("a rejection without a detail")
    return None


def as_python_reads(line):
    """Return (id, label, values) as Python's json reads a valid line."""
    ((key, content),) = json.loads(line).items()
    values = np.array(
        [
            [float(math.nan if number is None else number) for number in by_step]
            for by_step in (
                [content["values"][name][str(step)] for step in range(STEPS)] for name in PARAMETERS
            )
        ]
    )
    return int(key), content.get("label"), values


def spell(tokens, key='"7"', label='"Q"'):
    """Return a line from the number tokens of each parameter and step."""
    parameters = ", ".join(
        f'"{name}": {{' + ", ".join(f'"{step}": {token}' for step, token in enumerate(row)) + "}"
        for name, row in zip(PARAMETERS, tokens, strict=True)
    )
    return f'{{{key}: {{"label": {label}, "values": {{{parameters}}}}}}}'.encode()


def plain_tokens():
    return [["1.5"] * STEPS for _ in PARAMETERS]


# fmt: off
SPELLINGS = [
    "NaN", "null", "-0.0", "-0", "0", "0E-0", "-0e5", "1e-400", "1E5", "1e+05", "-1E-5",
    "0.1e1", "-8.765432109876543e3", "-8765.432109876543", "5e-324", "2.5e-324",
    "2.4703282292062327e-324", "2.4703282292062328e-324", "4.9406564584124654e-324",
    "2.2250738585072011e-308", "1.7976931348623157e308", "1.7976931348623158e308",
    "123456789012345678.9", "9007199254740993", "-9007199254740993", "18446744073709551615",
    "18446744073709551616", "18446744073709551617", "-9223372036854775809",
    "123456789012345678901234567890",
    "0.1000000000000000055511151231257827021181583404541015625",
    "2" + "0" * 300, "1" + "0" * 400 + "e-390", "0." + "0" * 400 + "1e390",
]
# fmt: on

TOKENS = st.one_of(
    st.floats(allow_infinity=False).map(json.dumps),
    st.floats(min_value=-1e-307, max_value=1e-307).map(json.dumps),
    st.integers().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(SPELLINGS),
)
PLACES = st.tuples(
    st.integers(0, len(PARAMETERS) - 1), st.integers(0, STEPS - 1).filter(lambda step: step != 30)
)


@settings(max_examples=80)
@given(st.dictionaries(PLACES, TOKENS, max_size=60))
@example({(0, 0): "1" + "0" * 400 + "e-390"})
def test_values_equal_those_of_python_bit_for_bit(numbers):
    tokens = plain_tokens()
    for (parameter, step), token in numbers.items():
        tokens[parameter][step] = token
    line = spell(tokens)
    source_id, label, values = accept(line)
    assert (source_id, label) == (7, "Q")
    assert same_bits(values, as_python_reads(line)[2])


@pytest.mark.parametrize("beside", ["1.5", "NaN", "null"])
@pytest.mark.parametrize("token", SPELLINGS)
def test_every_spelling_of_a_number_has_the_value_that_python_reads(token, beside):
    tokens = plain_tokens()
    tokens[3][4], tokens[8][9] = token, beside
    line = spell(tokens)
    assert same_bits(accept(line)[2], as_python_reads(line)[2])


@settings(max_examples=12)
@given(st.randoms(use_true_random=False))
def test_values_are_placed_by_step_key_and_parameter_name_in_any_order(random):
    content = document(3, "M")
    values = content["3"]["values"]
    names = list(values)
    random.shuffle(names)
    shuffled = {}
    for name in names:
        steps = list(values[name].items())
        random.shuffle(steps)
        shuffled[name] = dict(steps)
    content["3"] = {"values": shuffled, "label": "M"}
    source_id, label, got = accept(json.dumps(content).encode())
    assert (source_id, label) == (3, "M")
    assert same_bits(got, physical_values(0))


def test_the_order_of_steps_matters_even_in_a_single_parameter():
    content = document(3)
    series = content["3"]["values"]["MEANALP"]
    content["3"]["values"]["MEANALP"] = dict(reversed(series.items()))
    assert same_bits(accept(json.dumps(content).encode())[2], physical_values(0))


@pytest.mark.parametrize("separators", [(",", ":"), (" ,  ", "\t:  ")])
def test_white_space_between_tokens_does_not_matter(separators):
    values = physical_values(0)
    values[4, 5] = math.nan
    line = json.dumps(document(3, "M", values), separators=separators).encode()
    assert same_bits(accept(line)[2], values)


def test_a_line_of_a_windows_file_is_valid():
    assert accept(record(3) + b"\r")[0] == 3


TOO_LARGE = (MAX_RECORD_ID + 1, 2**63, 10**30)


@pytest.mark.parametrize("number", [0, 1, 213_000, MAX_RECORD_ID])
def test_whole_numbers_are_ids(number):
    assert accept(record(number))[0] == number


@pytest.mark.parametrize(
    "key",
    [
        *["007", "-1", "+1", "1.5", "x", "1e3", "0x1", "1_0", "00", "NaN", "٣", "²"],
        "",
        " 1",
        "1 ",
        *map(str, TOO_LARGE),
    ],
)
def test_other_ids_are_rejected(key):
    assert reason_of(record(key)) == "invalid_id"


def test_the_safe_index_of_the_largest_id_fits_into_64_bits():
    assert (MAX_RECORD_ID + 1) * STEPS <= 2**63


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("labelled", [True, False])
def test_the_five_classes_are_labels_in_both_kinds_of_file(label, labelled):
    assert accept(record(1, label), labelled=labelled)[1] == label


@pytest.mark.parametrize("label", [ABSENT, None])
def test_a_label_may_be_missing_in_the_test_file_only(label):
    assert accept(record(1, label), labelled=False)[1] is None
    assert reason_of(record(1, label)) == "invalid_label"


@pytest.mark.parametrize("label", ["A", "x", "", "XM", 1, True, ["X"], {"X": 1}, 1.5, "unknown"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_wrong_label_is_rejected_in_both_kinds_of_file(label, labelled):
    assert reason_of(record(1, label), labelled=labelled) == "invalid_label"


@pytest.mark.parametrize("name", ["FQ", "N"])
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("separators", [None, (",", ":")])
def test_the_names_of_swan_sf_for_quiet_windows_are_q(name, labelled, separators):
    line = json.dumps(document(1, name), separators=separators).encode()
    source_id, label, values = accept(line, labelled=labelled)
    assert (source_id, label) == (1, "Q")
    assert same_bits(values, physical_values(0))


def test_the_label_nf_is_refused_with_the_reason():
    with pytest.raises(RejectedLine) as caught:
        accept(record(1, "NF"))
    assert caught.value.reason == "invalid_label"
    assert caught.value.detail == (
        'the label is "NF"; known are X, M, C, B, Q and SWAN-SF\'s FQ and N (Q); NF is no class: '
        "SWAN-SF's folder of that name also holds B and C windows"
    )


@pytest.mark.parametrize(
    ("label", "shown"), [("M1.0", '"M1.0"'), (None, "null"), (ABSENT, "absent"), (["X"], '["X"]')]
)
def test_a_refused_label_is_shown_with_the_known_labels(label, shown):
    with pytest.raises(RejectedLine) as caught:
        accept(record(1, label))
    known = "known are X, M, C, B, Q and SWAN-SF's FQ and N (Q)"
    assert caught.value.detail == f"the label is {shown}; {known}"


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_required(name):
    content = document(1)
    del content["1"]["values"][name]
    with pytest.raises(RejectedLine) as caught:
        accept(json.dumps(content).encode())
    assert caught.value.reason == "missing_parameter"
    assert caught.value.detail == f"no values of {name}"


@pytest.mark.parametrize("values", [None, [], {}, "USFLUX", 3, [[1.0] * STEPS] * 33])
def test_values_that_are_no_object_of_parameters_are_rejected(values):
    line = json.dumps({"1": {"label": "Q", "values": values}}).encode()
    assert reason_of(line) == "missing_parameter"


def test_values_that_are_absent_are_rejected():
    assert reason_of(b'{"1": {"label": "Q"}}') == "missing_parameter"


def test_extra_parameters_and_extra_entries_are_tolerated():
    content = document(1)
    content["1"]["values"]["NEW"] = {"0": "text", "1": [True, {"a": None}]}
    content["1"]["comment"] = {"label": "X", "values": False}
    source_id, label, values = accept(json.dumps(content).encode())
    assert (source_id, label) == (1, "Q")
    assert same_bits(values, physical_values(0))


def _steps(change):
    content = document(1)
    change(content["1"]["values"]["MEANGBZ"])
    return json.dumps(content).encode()


def _drop_last(series):
    del series["59"]


def _drop_first(series):
    del series["0"]


def _add_one(series):
    series["60"] = 1.0


def _sixty_instead_of_fifty_nine(series):
    series["60"] = series.pop("59")


def _zero_padded(series):
    series["07"] = series.pop("7")


def _from_one(series):
    for step in reversed(range(STEPS)):
        series[str(step + 1)] = series.pop(str(step))


@pytest.mark.parametrize(
    "change",
    [
        _drop_last,
        _drop_first,
        _add_one,
        _sixty_instead_of_fifty_nine,
        _zero_padded,
        _from_one,
        dict.clear,
    ],
)
def test_other_steps_than_0_to_59_are_rejected(change):
    assert reason_of(_steps(change)) == "wrong_steps"


@pytest.mark.parametrize("series", [None, 1.0, "x", [1.0] * STEPS, True])
def test_a_parameter_that_is_no_object_is_rejected(series):
    content = document(1)
    content["1"]["values"]["TOTFX"] = series
    assert reason_of(json.dumps(content).encode()) == "wrong_steps"


def test_the_detail_of_a_short_record_names_parameter_and_missing_step():
    with pytest.raises(RejectedLine) as caught:
        accept(_steps(_drop_last))
    assert caught.value.detail == "MEANGBZ has 59 steps, without 59"


@pytest.mark.parametrize("value", ["1.5", "", "NaN", True, False, [1.0], {}, {"0": 1.0}, []])
@pytest.mark.parametrize("step", [0, 59])
def test_values_that_are_no_numbers_are_rejected(value, step):
    content = document(1)
    content["1"]["values"]["EPSX"][str(step)] = value
    assert reason_of(json.dumps(content).encode()) == "not_a_number"


@pytest.mark.parametrize(
    "token", ["Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400, "-1" + "0" * 400]
)
@pytest.mark.parametrize("beside", ["1.5", "null", "NaN"])
def test_numbers_beyond_float64_are_rejected(token, beside):
    tokens = plain_tokens()
    tokens[5][17], tokens[5][18] = token, beside
    assert reason_of(spell(tokens)) == "not_a_number"


UNKNOWN_TOKENS = ["nan", "inf", "+1", ".5", "1.", "01", "0x10", "1_000", "--1", "NaN0", "NaN00"]
UNKNOWN_TOKENS += ["NaN1", "NaN8", "NaNe0", "NaNE+0", "NaN.0", "NaNN", "-NaN", "1NaN", "NaN NaN"]


@pytest.mark.parametrize("beside", ["1.5", "NaN", "null"])
@pytest.mark.parametrize("token", UNKNOWN_TOKENS)
def test_numbers_that_json_does_not_know_are_invalid_json(token, beside):
    tokens = plain_tokens()
    tokens[5][17], tokens[5][18] = token, beside
    assert reason_of(spell(tokens)) == "invalid_json"


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 1000, 20_000])
def test_a_truncated_line_is_invalid_json(cut):
    assert reason_of(record(1)[:-cut]) == "invalid_json"


def test_two_records_on_one_line_are_invalid_json():
    assert reason_of(record(1) + record(2)) == "invalid_json"


def test_two_ids_in_one_object_are_rejected():
    line = json.dumps({**document(1), **document(2)}).encode()
    assert reason_of(line) == "not_one_record"


@pytest.mark.parametrize("line", [b"{}", b"[]", b"1", b"null", b'"1"', b'[{"1": {}}]', b"NaN"])
def test_a_line_that_is_no_object_with_one_id_is_rejected(line):
    assert reason_of(line) == "not_one_record"


@pytest.mark.parametrize("line", [b'{"1": 1}', b'{"1": null}', b'{"1": []}', b'{"1": "x"}'])
def test_an_id_without_an_object_is_rejected(line):
    assert reason_of(line) == "not_one_record"


@pytest.mark.parametrize("depth", [900, 1010, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("where", ["line", "label", "step", "series"])
def test_deep_nesting_is_rejected_and_never_an_error(depth, opening, where):
    closing = "]" if opening == "[" else "}"
    nested = opening * depth + "1" + closing * depth
    tokens = plain_tokens()
    if where == "line":
        line = nested.encode()
    elif where == "label":
        line = spell(tokens, label=nested)
    elif where == "step":
        tokens[5][17] = nested
        line = spell(tokens)
    else:
        line = record(1).replace(b'"TOTUSJH": {', f'"TOTUSJH": {nested}, "OLD": {{'.encode())
    assert reason_of(line) in {"invalid_json", "not_one_record", "invalid_label"} | {
        "invalid_id",
        "not_a_number",
        "wrong_steps",
    }


@pytest.mark.parametrize("depth", [500, 900, 1000, 1020, 5000])
def test_deep_nesting_in_an_extra_parameter_is_never_an_error(depth):
    nested = '{"a":' * depth + "1" + "}" * depth
    line = record(1).replace(b'"TOTUSJH"', f'"EXTRA": {nested}, "TOTUSJH"'.encode())
    assert refusal(line, True) in (None, "invalid_json")


@pytest.mark.parametrize(
    "line",
    [
        record(1).replace(b"TOTFX", b"TOT\xffFX"),
        record(1) + b"\xff",
        record(1).decode().encode("utf-16"),
        record(1).decode().encode("utf-16-le"),
        record(1).decode().encode("utf-32"),
        record(1).replace(b'"label"', b'"comment": "\xed\xa0\x80", "label"'),
        b"\x00" + record(1),
    ],
    ids=["in a name", "behind", "utf-16", "utf-16-le", "utf-32", "surrogate", "nul"],
)
def test_bytes_that_are_not_utf_8_are_invalid_json(line):
    assert reason_of(line) == "invalid_json"


def _twice(old, new):
    line = record(1)
    assert line.count(old) >= 1
    return line.replace(old, new, 1)


@pytest.mark.parametrize(
    "line",
    [
        record(1)[:-1] + b", " + record(1)[1:],
        _twice(b'{"label": "Q"', b'{"label": "X", "label": "Q"'),
        _twice(b'"values": {', b'"values": {}, "values": {'),
        _twice(b'"TOTFX": {', b'"TOTFX": {}, "TOTFX": {'),
        _twice(b'{"0": ', b'{"0": 1.0, "0": '),
        _twice(b'{"0": ', b'{"\\u0030": 1.0, "0": '),
        _twice(b'"TOTFX": {', b'"EXTRA": {"a": 1, "a": 1}, "TOTFX": {'),
        _twice(b'{"0": ', b'{"0": NaN, "0": '),
    ],
    ids=["id", "label", "values", "parameter", "step", "escaped step", "extra", "NaN"],
)
def test_a_repeated_key_is_rejected(line):
    assert reason_of(line) == "repeated_key"


def test_colons_in_strings_do_not_make_a_key_repeated():
    content = document(1)
    content["1"]["comment"] = "a: NaN: b:::"
    assert accept(json.dumps(content).encode())[0] == 1


def _flux(series):
    values = physical_values(0)
    values[INDEX["USFLUX"]] = series
    return record(1, "C", values)


@pytest.mark.parametrize("value", [0.0, -0.0, math.nan])
def test_a_record_without_usable_usflux_is_rejected(value):
    assert reason_of(_flux(value)) == "no_usflux"


def test_a_mixture_of_zero_and_nan_is_no_usable_usflux():
    assert reason_of(_flux(np.where(np.arange(STEPS) % 2, 0.0, math.nan))) == "no_usflux"


@pytest.mark.parametrize("value", [5e-324, -1.0, 1e21])
@pytest.mark.parametrize("step", [0, 31, 59])
@pytest.mark.parametrize("others", [0.0, math.nan])
def test_one_usable_step_of_usflux_is_enough(value, step, others):
    series = np.full(STEPS, others)
    series[step] = value
    assert accept(_flux(series))[0] == 1


def test_missing_usflux_is_a_missing_parameter():
    content = document(1)
    del content["1"]["values"]["USFLUX"]
    assert reason_of(json.dumps(content).encode()) == "missing_parameter"


def test_every_parameter_but_usflux_may_be_missing_at_every_step():
    values = np.full(SHAPE, math.nan)
    values[INDEX["USFLUX"], 3] = 1.0
    assert same_bits(accept(record(1, "Q", values))[2], values)


def test_unusable_records_are_found_at_their_places_in_a_block():
    block = np.stack([physical_values(seed) for seed in range(4)])
    block[1, INDEX["USFLUX"]] = 0.0
    block[3, 5, 17] = -math.inf
    found = [(position, why.reason) for position, why in reject_unusable(block)]
    assert found == [(1, "no_usflux"), (3, "not_a_number")]


def test_a_rejected_line_keeps_the_id_and_label_that_could_be_read():
    content = document(12, "M")
    del content["12"]["values"]["EPSZ"]["4"]
    with pytest.raises(RejectedLine) as caught:
        accept(json.dumps(content).encode())
    assert (caught.value.source_id, caught.value.label) == (12, "M")


def parses_like_python(line, labelled):
    """Check that a line is either rejected, or accepted with the values that Python reads."""
    if refusal(line, labelled):
        return False
    source_id, label, values = accept(line, labelled=labelled)
    expected = as_python_reads(line)
    assert (source_id, label) == expected[:2]
    assert same_bits(values, expected[2])
    return True


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=60).map(str.encode)), st.booleans())
def test_any_bytes_are_rejected_and_never_an_error(line, labelled):
    assert not parses_like_python(line, labelled)


SHORT = spell(plain_tokens())
PIECES = st.one_of(
    st.binary(max_size=4),
    st.sampled_from(
        b'" : , { } \\ NaN null true e - Infinity 1e999 "0":1 "label":null \\ud800 [['.split()
    ),
    st.sampled_from([b" ", b": NaN", b'"0": 1', b"\xed\xa0\x80"]),
)


@settings(max_examples=250)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SHORT)), st.integers(0, 6), PIECES), min_size=1, max_size=3
    ),
    st.booleans(),
)
@example([(SHORT.index(b"1.5"), 3, b"2")], True)
def test_a_damaged_line_is_rejected_or_read_as_python_reads_it(edits, labelled):
    line = SHORT
    for at, removed, piece in edits:
        line = line[:at] + piece + line[at + removed :]
    parses_like_python(line, labelled)


@settings(max_examples=100)
@given(st.integers(0, 33 * STEPS - 1), st.integers(0, 2), PIECES)
def test_a_number_replaced_by_anything_is_rejected_or_read_as_python_reads_it(place, side, piece):
    tokens = plain_tokens()
    parameter, step = divmod(place, STEPS)
    tokens[parameter][step] = ["@", "1@", "@1"][side].replace("@", piece.decode("latin-1"))
    parses_like_python(spell(tokens), True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=100)
@given(JSON, st.sampled_from(["key", "record", "label", "values", "series", "step", "extra"]), JSON)
def test_any_json_in_any_place_is_rejected_or_read_as_python_reads_it(value, place, key):
    content = document(5, "B")
    inside = content["5"]
    if place == "key":
        content = {json.dumps(key): inside}
    elif place == "record":
        content["5"] = value
    elif place in ("label", "values", "extra"):
        inside[place] = value
    elif place == "series":
        inside["values"]["TOTFY"] = value
    else:
        inside["values"]["TOTFY"]["33"] = value
    line = json.dumps(content).encode()
    for labelled in (True, False):
        parses_like_python(line, labelled)


@pytest.mark.parametrize("bad", [b"{}", b"[]", b"1", b'""'])
def test_a_line_of_more_values_than_any_record_is_rejected_unparsed(bad):
    line = b'{"1": [' + b",".join([bad] * 2**17) + b"]}"
    with pytest.raises(RejectedLine) as found:
        parse_line(line, np.empty((33, 60)), labelled=True)
    assert (found.value.reason, "values" in found.value.detail) == ("not_one_record", True)


def test_a_repeated_key_among_many_is_found_quickly():
    content = document(1, "X")
    extra = {f"p{number}": 1 for number in range(30_000)}
    content["1"]["values"] |= extra
    line = json.dumps(content).encode()
    twice = line.replace(b'"p29999": 1', b'"p29999": 1, "p29999": 2')
    begin = time.process_time()
    with pytest.raises(RejectedLine, match="repeated_key") as found:
        parse_line(twice, np.empty((33, 60)), labelled=True)
    assert "'p29999'" in found.value.detail
    assert time.process_time() - begin < 5
