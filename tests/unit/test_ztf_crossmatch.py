"""The cross-match: representative alerts of objects, the sample, and the splits."""

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ztf_nights import write_labels, write_night

from skymill.engine.errors import SkymillError
from skymill.ztf.groups import group_by_position
from skymill.ztf.matches import require_matches
from skymill.ztf.object_hashes import fractions, name_hashes, order_by_hash
from skymill.ztf.plan import ALL, PLAN_SCHEMA, RANKED_BY, make_plan

OPTIONS = {"representative": "first", "sample": {}, "split": {}, "seed": 1}
OBJECTS = [f"ZTF18a{letters}" for letters in ("aaaaaa", "aaaaab", "bcdefg", "zzzzzz", "z")]
LABELS = {OBJECTS[0]: "QSO", OBJECTS[1]: "Otro", OBJECTS[2]: "Otro", OBJECTS[3]: "AGN"}


def many_objects(count):
    return [f"ZTF18a{number:07x}" for number in range(count)]


def plan_of(nights, labels, **options):
    return make_plan(nights, labels, **{**OPTIONS, **options})


def one_night(folder, alerts, labels=LABELS, **options):
    night = write_night(folder, "20180601", alerts)
    return plan_of([night], write_labels(folder / "labels.parquet", labels), **options)


@st.composite
def some_nights(draw):
    """Draw alerts of a few nights with repeated candids, equal values and missing values."""
    alert = st.fixed_dictionaries(
        {
            "object_id": st.sampled_from(OBJECTS),
            "candid": st.integers(1, 12),
            "jd": st.sampled_from([2458270.5, 2458271.5, 2458272.5]),
            "magpsf": st.sampled_from([17.0, 18.0, float("nan")]),
            "rb": st.sampled_from([0.1, 0.9, None]),
        }
    )
    names = draw(st.permutations(["20180601", "20180602", "20180602_programid3", "20190101"]))
    alerts = st.lists(alert, max_size=8, unique_by=lambda found: found["candid"])
    return {name: draw(alerts) for name in names}


def chosen_by_pandas(nights, labels, representative):
    """Return the plan's (label, object_id, candid, night, row), computed with plain pandas."""
    rows = [
        {**alert, "night": name, "row": row}
        for name in sorted(nights)
        for row, alert in enumerate(sorted(nights[name], key=lambda alert: alert["candid"]))
    ]
    columns = ["object_id", "candid", "jd", "magpsf", "rb", "night", "row"]
    frame = pd.DataFrame(rows, columns=columns).drop_duplicates("candid")
    frame = frame[frame["object_id"].isin(list(labels))]
    frame["label"] = frame["object_id"].map(labels)
    if representative != ALL:
        column, sign = RANKED_BY[representative]
        frame["rank"] = sign * pd.to_numeric(frame[column])
        frame = frame.sort_values(["rank", "candid"], na_position="last")
        frame = frame.drop_duplicates("object_id")
    frame = frame.sort_values(["label", "object_id", "candid"])
    return frame[["label", "object_id", "candid", "night", "row"]].to_numpy().tolist()


@pytest.mark.parametrize("representative", [*RANKED_BY, ALL])
@given(nights=some_nights())
@settings(max_examples=15)
def test_the_plan_agrees_with_pandas_for_any_order_of_nights(tmp_path, representative, nights):
    paths = [write_night(tmp_path, name, alerts) for name, alerts in nights.items()]
    labels = write_labels(tmp_path / "labels.parquet", LABELS)
    plan, counts = plan_of(paths, labels, representative=representative)
    assert plan.schema.equals(PLAN_SCHEMA)
    names = ["label", "object_id", "candid", "night", "row"]
    found = [list(row.values()) for row in plan.select(names).to_pylist()]
    assert found == chosen_by_pandas(nights, LABELS, representative)
    again, same_counts = plan_of(paths[::-1], labels, representative=representative)
    assert again.equals(plan)
    assert counts == same_counts


@given(nights=some_nights())
def test_every_alert_and_object_is_accounted_for(tmp_path, nights):
    paths = [write_night(tmp_path, name, alerts) for name, alerts in nights.items()]
    labels = write_labels(tmp_path / "labels.parquet", LABELS)
    plan, counts = plan_of(paths, labels, representative=ALL, sample={"Otro": 1})
    alerts = [alert for night in nights.values() for alert in night]
    assert counts["alerts"] == len(alerts)
    parts = ("duplicate_alerts", "unmatched_alerts", "matched_alerts")
    assert sum(counts[part] for part in parts) == len(alerts)
    assert counts["matched_alerts"] == plan.num_rows == counts["planned_alerts"]
    assert counts["objects"] == counts["matched_objects"] + counts["unmatched_objects"]
    for by in ("by_label", "by_split"):
        assert sum(found["alerts"] for found in counts[by].values()) == plan.num_rows
        total = sum(found["objects"] for found in counts[by].values())
        assert total == counts["matched_objects"] == len(set(plan["object_id"].to_pylist()))
        sampled = sum(found["sampled_alerts"] for found in counts[by].values())
        assert sampled == sum(plan["sampled"].to_pylist()) == counts["sampled_alerts"]


@pytest.mark.parametrize(
    ("representative", "expected"), [("first", 3), ("last", 5), ("brightest", 4), ("best_rb", 6)]
)
def test_the_representative_is_the_best_alert_or_the_smaller_candid_of_equals(
    tmp_path, representative, expected
):
    alerts = [
        {"candid": 3, "jd": 1.0, "magpsf": 19.0, "rb": 0.2},
        {"candid": 4, "jd": 1.0, "magpsf": 16.0, "rb": 0.3},
        {"candid": 5, "jd": 9.0, "magpsf": 16.0, "rb": None},
        {"candid": 6, "jd": 9.0, "magpsf": float("nan"), "rb": 0.9},
        {"candid": 7, "jd": 5.0, "magpsf": 18.0, "rb": 0.9},
    ]
    alerts = [{**alert, "object_id": OBJECTS[0]} for alert in alerts]
    plan, _ = one_night(tmp_path, alerts, representative=representative)
    assert plan["candid"].to_pylist() == [expected]


def test_an_object_with_only_missing_values_has_a_representative(tmp_path):
    alerts = [{"object_id": OBJECTS[0], "candid": n, "rb": None} for n in (5, 4)]
    plan, _ = one_night(tmp_path, alerts, representative="best_rb")
    assert plan["candid"].to_pylist() == [4]


def test_a_candid_in_two_nights_counts_once_in_the_first_by_name(tmp_path):
    alert = {"object_id": OBJECTS[0], "candid": 5}
    nights = [write_night(tmp_path, name, [alert]) for name in ("20180602", "20180601")]
    plan, counts = plan_of(
        nights, write_labels(tmp_path / "labels.parquet", LABELS), representative=ALL
    )
    assert plan["night"].to_pylist() == ["20180601"]
    assert counts["duplicate_alerts"] == 1


def test_alerts_that_repeat_an_earlier_night_are_a_warning(tmp_path, caplog):
    alerts = [{"object_id": OBJECTS[0], "candid": 5}, {"object_id": OBJECTS[1], "candid": 6}]
    nights = [write_night(tmp_path, "20180601", alerts), write_night(tmp_path, "copy", alerts[:1])]
    plan_of(nights, write_labels(tmp_path / "labels.parquet", LABELS))
    assert "1 of 3 alerts are also in a night with an earlier name" in caplog.text
    caplog.clear()
    plan_of(nights[:1], tmp_path / "labels.parquet")
    assert "earlier name" not in caplog.text


def test_the_sample_has_whole_objects_and_keeps_other_labels(tmp_path):
    names = many_objects(60)
    labels = {name: "Otro" if n % 2 else "QSO" for n, name in enumerate(names)}
    alerts = [{"object_id": name, "candid": 1 + n} for n, name in enumerate(names * 2)]
    plan, counts = one_night(tmp_path, alerts, labels, representative=ALL, sample={"Otro": 10})
    frame = plan.to_pandas()
    assert frame.groupby("object_id")["sampled"].nunique().eq(1).all()
    assert frame.loc[frame["label"] == "QSO", "sampled"].all()
    assert counts["by_label"]["Otro"] == {
        "objects": 30,
        "alerts": 60,
        "sampled_objects": 10,
        "sampled_alerts": 20,
        "sample_asked": 10,
    }


def test_a_label_with_too_few_objects_is_sampled_completely_with_a_warning(tmp_path, caplog):
    alerts = [{"object_id": name, "candid": n} for n, name in enumerate(OBJECTS)]
    with caplog.at_level(logging.INFO):
        plan, counts = one_night(tmp_path, alerts, sample={"Otro": 12_000, "YSO": 1})
    assert all(plan["sampled"].to_pylist())
    assert counts["taken_whole"] == ["Otro", "YSO"]
    assert "Otro has 2 objects, not more than the 12000 in ztf.sample" in caplog.text


@given(
    first=st.sets(st.integers(0, 200), min_size=1, max_size=60),
    later=st.sets(st.integers(0, 200), max_size=60),
    count=st.integers(0, 40),
)
def test_another_night_moves_no_object_and_only_displaces_objects_from_the_sample(
    tmp_path, first, later, count
):
    names = many_objects(201)
    labels = write_labels(tmp_path / "labels.parquet", dict.fromkeys(names, "Otro"))
    nights = [
        write_night(tmp_path, f"2018060{place}", [{"object_id": names[n], "candid": n} for n in of])
        for place, of in enumerate((first, later - first), 1)
    ]
    options = {"sample": {"Otro": count}, "split": {"validation": 0.3, "test": 0.2}}
    before = plan_of(nights[:1], labels, **options)[0].to_pandas().set_index("object_id")
    after = plan_of(nights, labels, **options)[0].to_pandas().set_index("object_id")
    same = after.loc[before.index]
    assert same["split"].tolist() == before["split"].tolist()
    assert not (same["sampled"] & ~before["sampled"]).any()
    left = int((before["sampled"] & ~same["sampled"]).sum())
    come = int(after["sampled"].sum()) - int(same["sampled"].sum())
    assert left <= come
    assert int(after["sampled"].sum()) == min(count, len(after))


def test_alerts_of_an_object_are_never_in_two_splits(tmp_path):
    names = many_objects(300)
    alerts = [{"object_id": name, "candid": n} for n, name in enumerate(names * 3)]
    labels = dict.fromkeys(names, "QSO")
    split = {"validation": 0.3, "test": 0.3}
    plan, counts = one_night(tmp_path, alerts, labels, representative=ALL, split=split)
    assert plan.to_pandas().groupby("object_id")["split"].nunique().eq(1).all()
    assert all(70 < counts["by_split"][name]["objects"] < 150 for name in counts["by_split"])


# Several names of one source.


@st.composite
def some_positions(draw):
    """Draw positions in clusters, also around a pole and at right ascension 0."""
    centres = st.sampled_from([(0.0, 0.0), (120.0, 45.0), (77.0, 90.0), (300.0, -90.0)])
    arcsec = st.integers(-9, 9).map(lambda step: 0.7 * step)
    positions = []
    for (ra, dec), east, north in draw(st.lists(st.tuples(centres, arcsec, arcsec), max_size=12)):
        if abs(dec) == 90:
            dec -= np.sign(dec) * np.hypot(east, north) / 3600
            ra += np.degrees(np.arctan2(east, north))
        else:
            dec += north / 3600
            ra += east / 3600 / np.cos(np.radians(dec))
        positions.append((ra % 360, dec))
    return positions


@given(some_positions())
@settings(max_examples=200)
def test_groups_are_chains_of_near_pairs(positions):
    ra, dec = np.array(positions, float).reshape(-1, 2).T
    alpha, delta = np.radians(ra), np.radians(dec)
    haversine = (
        np.sin((delta[:, None] - delta) / 2) ** 2
        + np.cos(delta[:, None]) * np.cos(delta) * np.sin((alpha[:, None] - alpha) / 2) ** 2
    )
    near = np.degrees(2 * np.arcsin(np.sqrt(haversine))) * 3600 <= 1.5
    wanted = np.arange(len(ra))
    for _ in wanted:
        wanted = np.where(near, wanted, len(ra)).min(axis=1, initial=len(ra))
    assert group_by_position(ra, dec).tolist() == wanted.tolist()


def at(name, candid, arcsec, **otherwise):
    """Return an alert at a distance north of a place."""
    return {"object_id": name, "candid": candid, "ra": 359.9999, "dec": arcsec / 3600, **otherwise}


def test_names_at_one_place_are_one_group_in_one_split_for_any_seed(tmp_path):
    pairs = many_objects(40)
    alerts = [at(name, n, 10 * (n // 2) + 0.03 * (n % 2)) for n, name in enumerate(pairs)]
    labels = {name: ("QSO", "Otro", "AGN")[n % 3] for n, name in enumerate(pairs)}
    night = write_night(tmp_path, "20180601", alerts)
    labels = write_labels(tmp_path / "labels.parquet", labels)
    splits = set()
    for seed in range(20):
        split = {"validation": 0.3, "test": 0.3}
        plan, counts = plan_of([night], labels, split=split, seed=seed)
        frame = plan.to_pandas().astype({"split": str})
        assert len(frame) == 40
        assert frame.groupby("group")["split"].nunique().eq(1).all()
        assert (
            frame.groupby("group")["object_id"].min().reset_index().eval("group == object_id").all()
        )
        assert (counts["groups"], counts["objects_in_larger_groups"]) == (20, 40)
        splits.add(tuple(frame.sort_values("object_id")["split"]))
    assert len(splits) == 20


def test_a_chain_of_names_is_one_group_though_its_ends_are_far_apart(tmp_path):
    alerts = [at(name, n, 1.2 * n) for n, name in enumerate(OBJECTS[3::-1], 1)]
    plan, _ = one_night(tmp_path, alerts)
    assert set(plan["group"].to_pylist()) == {OBJECTS[0]}
    plan, _ = one_night(tmp_path, [alert for alert in alerts if alert["candid"] != 2])
    groups = dict(zip(plan["object_id"].to_pylist(), plan["group"].to_pylist(), strict=True))
    assert groups == {OBJECTS[3]: OBJECTS[3], OBJECTS[1]: OBJECTS[0], OBJECTS[0]: OBJECTS[0]}


def test_objects_without_a_label_link_nothing(tmp_path):
    # If only labelled alerts are extracted, unlabelled ones are not in the night.
    alerts = [at(OBJECTS[0], 1, 0), at("ZTF18unlabel", 2, 1.2), at(OBJECTS[1], 3, 2.4)]
    plan, _ = one_night(tmp_path, alerts)
    assert sorted(plan["group"].to_pylist()) == OBJECTS[:2]


@pytest.mark.parametrize("representative", [*RANKED_BY, ALL])
def test_an_object_has_the_place_of_its_first_alert(tmp_path, representative):
    alerts = [
        *(at(OBJECTS[0], 10 + n, 5 * n, jd=2458270.5 + n, rb=0.1 * n) for n in range(3)),
        at(OBJECTS[1], 20, 0.5),
        at(OBJECTS[2], 5, 10.0),
    ]
    plan, _ = one_night(tmp_path, alerts, representative=representative)
    groups = dict(zip(plan["object_id"].to_pylist(), plan["group"].to_pylist(), strict=True))
    assert groups == {OBJECTS[0]: OBJECTS[0], OBJECTS[1]: OBJECTS[0], OBJECTS[2]: OBJECTS[2]}


def test_a_later_night_may_join_groups_but_never_splits_them(tmp_path):
    first = write_night(tmp_path, "20180601", [at(OBJECTS[3], 1, 0), at(OBJECTS[1], 2, 2.4)])
    later = write_night(tmp_path, "20180602", [at(OBJECTS[0], 3, 1.2), at(OBJECTS[3], 4, 60.0)])
    labels = write_labels(tmp_path / "labels.parquet", LABELS)
    before, _ = plan_of([first], labels)
    assert sorted(before["group"].to_pylist()) == [OBJECTS[1], OBJECTS[3]]
    after, _ = plan_of([later, first], labels)
    assert set(after["group"].to_pylist()) == {OBJECTS[0]}


def test_thousands_of_names_at_one_place_are_grouped_quickly():
    ra = np.repeat([10.0, 20.0], 50_000)
    assert np.unique(group_by_position(ra, np.zeros(100_000))).tolist() == [0, 50_000]


def test_another_share_of_validation_does_not_change_the_test_set(tmp_path):
    names = many_objects(300)
    alerts = [{"object_id": name, "candid": n} for n, name in enumerate(names)]
    labels = dict.fromkeys(names, "QSO")
    tests = [
        one_night(tmp_path, alerts, labels, split={"validation": share, "test": 0.2})[0]
        for share in (0.0, 0.5)
    ]
    few, many = ([name == "test" for name in plan["split"].to_pylist()] for plan in tests)
    assert few == many
    assert sum(few) > 30


@pytest.mark.parametrize("nights", [0, 2])
def test_no_alerts_give_an_empty_plan(tmp_path, nights):
    paths = [write_night(tmp_path, f"2018060{n}", []) for n in range(nights)]
    labels = write_labels(tmp_path / "labels.parquet", LABELS)
    plan, counts = plan_of(paths, labels, sample={"Otro": 5}, split={"test": 0.5})
    assert plan.schema.equals(PLAN_SCHEMA)
    assert plan.num_rows == counts["objects"] == counts["by_label"]["QSO"]["objects"] == 0


def matched(tmp_path, objects, listed, *, unlabelled=0, respelt=0):
    """Plan a night with alerts of some objects, and check that the list has some of them."""
    night = {"unlabelled": unlabelled, "respelt": respelt}
    labels = write_labels(tmp_path / "labels.parquet", dict.fromkeys(listed, "QSO"))
    alerts = [{"object_id": name, "candid": n} for n, name in enumerate(objects)]
    _, counts = plan_of([write_night(tmp_path, "20180601", alerts)], labels)
    require_matches(counts, [night], labels)
    return counts


def test_a_list_that_matches_no_object_is_an_error(tmp_path):
    with pytest.raises(
        SkymillError, match=r"none of the 1 alerts .* 1 objects, such as ZTF18aaaaaab"
    ):
        matched(tmp_path, ["ZTF18aaaaaaa"], ["ZTF18aaaaaab"])
    # Also if nights were extracted without unlabelled alerts.
    with pytest.raises(SkymillError, match=r"none of the 7 alerts"):
        matched(tmp_path, [], ["ZTF18aaaaaab"], unlabelled=7)


@pytest.mark.parametrize("spelling", ["ztf18aaaaaaa", "18aaaaaaa", str(2**55 + 18 * 26**7)])
def test_a_list_that_only_matches_in_another_spelling_is_an_error_that_says_so(tmp_path, spelling):
    expected = rf"1 objects .* would match .* \(it has {spelling} for ZTF18aaaaaaa\)"
    with pytest.raises(SkymillError, match=expected):
        matched(tmp_path, ["ZTF18aaaaaaa"], [spelling])
    with pytest.raises(SkymillError, match="5 alerts of these nights would match"):
        matched(tmp_path, [], [spelling], unlabelled=7, respelt=5)


def test_some_objects_in_another_spelling_give_a_warning(tmp_path, caplog):
    listed = ["ZTF18aaaaaab", "ztf18aaaaaaa"]
    counts = matched(tmp_path, ["ZTF18aaaaaaa", "ZTF18aaaaaab"], listed)
    assert counts["respelt_objects"] == 1
    assert "it has ztf18aaaaaaa for ZTF18aaaaaaa" in caplog.text


def test_nights_without_alerts_do_not_refute_the_list(tmp_path, caplog):
    matched(tmp_path, [], ["ZTF18aaaaaab"])
    matched(tmp_path, ["ZTF18aaaaaab"], ["ZTF18aaaaaab"], unlabelled=9)
    assert "spelt" not in caplog.text


def test_a_list_may_have_many_classes(tmp_path):
    names = many_objects(300)
    path = write_labels(tmp_path / "labels.parquet", dict.fromkeys(names, "Otro"))
    table = pq.read_table(path)
    classes = pa.array([f"class {n}" for n in range(300)])
    pq.write_table(table.set_column(1, "alerce_class", classes), path)
    alerts = [{"object_id": name, "candid": n} for n, name in enumerate(names)]
    plan, _ = plan_of([write_night(tmp_path, "20180601", alerts)], path)
    assert len(set(plan["alerce_class"].to_pylist())) == 300


def test_two_nights_of_one_name_are_refused(tmp_path):
    night = write_night(tmp_path, "20180601", [])
    with pytest.raises(SkymillError, match="only 1 names"):
        plan_of([night, night], write_labels(tmp_path / "labels.parquet", LABELS))


def test_shares_above_one_are_refused(tmp_path):
    with pytest.raises(SkymillError, match="the sum may be at most 1"):
        one_night(tmp_path, [], split={"validation": 0.6, "test": 0.6})


def test_an_object_with_two_labels_is_refused(tmp_path):
    path = write_labels(tmp_path / "labels.parquet", LABELS)
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)
    with pytest.raises(SkymillError, match="8 rows for 4 objects"):
        plan_of([], path)


@given(names=st.lists(st.text(max_size=20), min_size=1, max_size=20, unique=True))
def test_the_hash_of_a_name_depends_only_on_the_name(names):
    together = name_hashes(pa.array(names, pa.string()), 7)
    alone = [name_hashes(pa.array([name], pa.string()), 7)[0] for name in names]
    assert together.tolist() == alone
    cut = name_hashes(pa.chunked_array([pa.array([*names, "x"], pa.string())[1:]]), 7)
    assert cut[:-1].tolist() == alone[1:]
    assert len(set(alone)) == len(names)


def test_hashes_are_uniform_and_differ_between_keys():
    names = pa.array(many_objects(20_000))
    share = fractions(name_hashes(names, 1))
    counts, _ = np.histogram(share, bins=10, range=(0, 1))
    assert abs(counts - 2000).max() < 200
    assert order_by_hash(names, 1).tolist() != order_by_hash(names, 2).tolist()
    assert abs(np.corrcoef(share, fractions(name_hashes(names, 2)))[0, 1]) < 0.03
