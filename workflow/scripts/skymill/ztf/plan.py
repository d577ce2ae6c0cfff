"""Make the plan: which alerts represent each object, its label, its split, and the sample.

This module reads only keys, never stamps. The order of the nights does not matter. An additional
night changes as little as possible: an object leaves the sample only if the night has objects with
smaller hashes, and changes its split only if a new object joins two groups.
"""

import logging
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key
from skymill.engine.tables import read_table
from skymill.ztf.groups import group_by_position
from skymill.ztf.object_hashes import fractions, name_hashes, order_by_hash
from skymill.ztf.object_ids import respelt

logger = logging.getLogger(__name__)

ALL = "all"
"""The representative that keeps every alert of an object."""
RANKED_BY = {
    "first": ("jd", 1),
    "last": ("jd", -1),
    "brightest": ("magpsf", 1),
    "best_rb": ("rb", -1),
}
"""The alert that represents an object: with the smallest (1) or largest (-1) value of a column."""

POSITION = ("ra", "dec")
"""Columns for grouping objects."""

SPLITS = ("train", "validation", "test")

PUBLISHED_OBJECTS = 358_163
"""Objects with stamps in the published run."""
PUBLISHED_MATCHED = {"QSO": 2_804, "AGN": 1_359, "YSO": 6_935, "Otro": 122_968}
"""Objects of each label in the published cross-match."""

ROWS_AT_A_TIME = 2**20
"""Alerts that are looked up among the labels in one step: each step hashes all labels again."""

_WORD = pa.dictionary(pa.int8(), pa.string())
_CLASS = pa.dictionary(pa.int16(), pa.string())
PLAN_SCHEMA = pa.schema(
    [
        pa.field("object_id", pa.string(), nullable=False),
        pa.field("candid", pa.int64(), nullable=False),
        pa.field("night", pa.dictionary(pa.int16(), pa.string()), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("label", _WORD, nullable=False),
        pa.field("alerce_class", _CLASS, nullable=False),
        pa.field("probability", pa.float32()),
        pa.field("split", _WORD, nullable=False),
        pa.field("sampled", pa.bool_(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
    ]
)


def make_plan(
    nights: list[Path],
    labels: Path,
    *,
    representative: str,
    sample: dict[str, int],
    split: dict[str, float],
    seed: int,
) -> tuple[pa.Table, dict]:
    """Cross-match all nights with the labels, and decide sample and split of each object.

    Parameters
    ----------
    nights
        The Parquet of each night, in any order; the file name is the name of the night. The columns
        object_id, candid, ra, dec and the column that ranks the alerts are read.
    labels
        Parquet with object_id (unique), alerce_class, label and probability.
    representative
        The alert that represents an object: a key of RANKED_BY, or `all`. Missing values come last.
        If values are equal, the smaller candid wins.
    sample
        Number of objects in the sample, by label: the objects with the smallest keyed hashes.
    split
        Approximate shares of the objects in `validation` and `test`, by the keyed hashes of their
        groups.
    seed
        The seed of the configuration.

    Returns
    -------
    plan
        A table with PLAN_SCHEMA, a row for each alert of the cross-match, sampled or not, sorted
        by (label, object_id, candid). `row` is the row in the night's Parquet.
    counts
        Alerts and objects that are read, matched and sampled.

    Raises
    ------
    SkymillError
        When two nights have one name, an object has two labels, or shares add up to more than 1.
    """
    if sum(split.values()) > 1:
        raise SkymillError(
            f"the shares in ztf.split add up to {sum(split.values()):g}. Lower validation or "
            "test: the sum may be at most 1."
        )
    known = _read_labels(labels)
    nights = _by_name(nights)
    alerts, unmatched = _read_alerts(list(nights.values()), known["object_id"], representative)
    once = _first_of_each(alerts["candid"])
    chosen = once & (alerts["object"] >= 0)
    counts = {
        "nights": len(nights),
        "alerts": len(once),
        "duplicate_alerts": int(len(once) - once.sum()),
        "unmatched_alerts": int((once & (alerts["object"] < 0)).sum()),
        "matched_alerts": int(chosen.sum()),
    }
    positions = {name: alerts.pop(name)[chosen[alerts["object"] >= 0]] for name in POSITION}
    alerts = {name: values[chosen] for name, values in alerts.items()}
    matched, group = _groups(known["object_id"], alerts, positions)
    if representative != ALL:
        kept = _one_of_each(alerts["object"], alerts["rank"], alerts["candid"])
        alerts = {name: values[kept] for name, values in alerts.items()}
    objects = _decide(known, matched, group, sample, split, seed)
    counts |= {
        "unmatched_objects": len(unmatched),
        "matched_objects": objects.num_rows,
        "objects": objects.num_rows + len(unmatched),
        "respelt_objects": _count_respelt(known["object_id"], unmatched),
    }
    plan = _assemble(alerts, objects, list(nights))
    names = sorted({*pc.unique(known["label"]).to_pylist(), *sample})
    counts |= _describe(plan, names, sample)
    sizes = np.unique(group, return_counts=True)[1]
    counts["groups"] = len(sizes)
    counts["objects_in_larger_groups"] = int(sizes[sizes > 1].sum())
    _log(counts, sample)
    return plan, counts


def _by_name(nights: list[Path]) -> dict[str, Path]:
    """Return the paths of the nights by name, sorted."""
    named = {path.stem: path for path in sorted(map(Path, nights))}
    if len(named) < len(nights):
        raise SkymillError(
            f"{len(nights)} files of nights have only {len(named)} names. List each night once."
        )
    return dict(sorted(named.items()))


def _read_labels(path: Path) -> pa.Table:
    """Return the labels, with plain strings; raise SkymillError when an object has two labels."""
    table = read_table(path, columns=["object_id", "alerce_class", "label", "probability"])
    table = table.cast(
        pa.schema(
            [
                pa.field(name, pa.float32() if name == "probability" else pa.string())
                for name in table.column_names
            ]
        )
    ).combine_chunks()
    distinct = pc.count_distinct(table["object_id"]).as_py()
    if distinct != table.num_rows:
        raise SkymillError(
            f"{path} has {table.num_rows:,} rows for {distinct:,} objects, but should have one row "
            "per object. Delete it and run again."
        )
    return table


def _read_alerts(
    nights: list[Path], known: pa.ChunkedArray, representative: str
) -> tuple[dict[str, np.ndarray], pa.Array]:
    """Read the keys of all nights and look up their objects among the known objects.

    Returns
    -------
    alerts
        Arrays of shape (alerts,), night after night: `candid` int64, `object` int32 (place among
        the known objects, -1 for unknown objects), `night` int16, `row` int32, and `rank` float64
        (smaller is better; absent if every alert is kept). `ra` and `dec`, float64, have only the
        alerts of known objects.
    unmatched
        Names of the unknown objects.
    """
    from tqdm import tqdm

    column, sign = RANKED_BY.get(representative, (None, 1))
    columns = ["object_id", "candid", *POSITION, *([column] if column else [])]
    parts, unmatched, waiting, rows = [], [], [], 0

    def look_up() -> None:
        nonlocal waiting, rows
        names = pa.chunked_array([chunk for part in waiting for chunk in part.pop("names")])
        place = pc.index_in(names, value_set=known)
        unmatched.append(pc.unique(names.filter(pc.is_null(place))))
        merged = {name: np.concatenate([part[name] for part in waiting]) for name in waiting[0]}
        place = pc.fill_null(place, -1).to_numpy()
        merged |= {name: merged[name][place >= 0] for name in POSITION}
        parts.append({**merged, "object": place.astype(np.int32, copy=False)})
        waiting, rows = [], 0

    progress = tqdm(nights, desc="read keys", file=sys.stderr, disable=None, leave=False)
    for number, path in enumerate(progress):
        table = read_table(path, columns=columns)
        part = {
            "names": table["object_id"].cast(pa.string()).chunks,
            "candid": table["candid"].to_numpy(),
            "night": np.full(table.num_rows, number, dtype=np.int16),
            "row": np.arange(table.num_rows, dtype=np.int32),
            **{name: table[name].to_numpy() for name in POSITION},
        }
        if column:
            values = sign * table[column].cast(pa.float64()).to_numpy()
            part["rank"] = np.where(np.isnan(values), np.inf, values)
        waiting.append(part)
        rows += table.num_rows
        if rows >= ROWS_AT_A_TIME:
            look_up()
    if rows:
        look_up()
    if not parts:
        empty = {"candid": np.int64, "object": np.int32, "night": np.int16, "row": np.int32}
        empty |= dict.fromkeys(["rank", *POSITION], np.float64)
        return {name: np.empty(0, dtype) for name, dtype in empty.items()}, pa.array(
            [], pa.string()
        )
    alerts = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return alerts, pc.unique(pa.chunked_array(unmatched))


def _count_respelt(known: pa.ChunkedArray, unmatched: pa.Array) -> int:
    """Return how many unmatched objects are known with another spelling."""
    names = pa.array([*respelt(known)], pa.string())
    return pc.sum(pc.is_in(unmatched, value_set=names)).as_py() or 0


def _first_of_each(candid: np.ndarray) -> np.ndarray:
    """Return which alerts are the first with their candid: bool, shape (alerts,)."""
    order = np.argsort(candid, kind="stable")
    sorted_candid = candid[order]
    once = np.ones(len(candid), dtype=bool)
    once[order[1:]] = sorted_candid[1:] != sorted_candid[:-1]
    return once


def _one_of_each(objects: np.ndarray, rank: np.ndarray, candid: np.ndarray) -> np.ndarray:
    """Return the place of the best alert of each object, ascending by object."""
    order = np.lexsort((candid, rank, objects))
    sorted_objects = objects[order]
    best = np.ones(len(order), dtype=bool)
    best[1:] = sorted_objects[1:] != sorted_objects[:-1]
    return order[best]


def _groups(
    known: pa.ChunkedArray, alerts: dict[str, np.ndarray], positions: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the matched objects (their places among the known objects), and the group of each.

    The position of an object is the position of its alert with the smallest candid. Later nights
    have larger candids, so they do not change the position. The number of a group is the place of
    its object with the smallest name.
    """
    order = np.lexsort((alerts["candid"], alerts["object"]))
    objects = alerts["object"][order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = objects[1:] != objects[:-1]
    ra, dec = (positions[name][order[first]] for name in POSITION)
    matched = objects[first]
    names = known.take(pa.array(matched))
    by_name = pc.sort_indices(names).to_numpy()
    group = np.empty(len(matched), matched.dtype)
    group[by_name] = matched[by_name[group_by_position(ra[by_name], dec[by_name])]]
    return matched, group


def _decide(
    known: pa.Table,
    matched: np.ndarray,
    group: np.ndarray,
    sample: dict[str, int],
    split: dict,
    seed: int,
) -> pa.Table:
    """Return the matched objects with `group`, `split` and `sampled`, sorted by (label, object_id).

    `object` is the place among the known objects.
    """
    objects = known.take(pa.array(matched)).append_column("object", pa.array(matched))
    objects = objects.append_column("group", known["object_id"].take(pa.array(group)))
    by_name = [("label", "ascending"), ("object_id", "ascending")]
    objects = objects.take(pc.sort_indices(objects, sort_keys=by_name)).combine_chunks()
    share = fractions(name_hashes(objects["group"], key(seed, "ztf", "split")))
    # Test comes first, so that another share of validation does not change the test set.
    in_test = share < split.get("test", 0)
    held_out = share < split.get("test", 0) + split.get("validation", 0)
    splits = np.where(in_test, 2, np.where(held_out, 1, 0)).astype(np.int8)
    sampled = np.ones(objects.num_rows, dtype=bool)
    for label, count in sample.items():
        members = np.flatnonzero(pc.equal(objects["label"], label).to_numpy(zero_copy_only=False))
        names = objects["object_id"].take(pa.array(members))
        order = order_by_hash(names, key(seed, "ztf", "sample", label))
        sampled[members[order[count:]]] = False
    column = pa.DictionaryArray.from_arrays(pa.array(splits), pa.array(SPLITS))
    return objects.append_column("split", column).append_column("sampled", pa.array(sampled))


def _assemble(alerts: dict[str, np.ndarray], objects: pa.Table, nights: list[str]) -> pa.Table:
    """Return the plan: alerts with the columns of their objects, by (label, object_id, candid)."""
    place = objects["object"].to_numpy()
    position = np.empty(int(place.max(initial=-1)) + 1, dtype=np.int32)
    position[place] = np.arange(len(place), dtype=np.int32)
    of_object = position[alerts["object"]]
    order = np.lexsort((alerts["candid"], of_object))
    taken = pa.array(of_object[order])
    columns = {
        "candid": alerts["candid"][order],
        "night": pa.DictionaryArray.from_arrays(
            pa.array(alerts["night"][order]), pa.array(nights, pa.string())
        ),
        "row": alerts["row"][order],
        "split": objects["split"].take(taken).combine_chunks(),
        "sampled": objects["sampled"].take(taken),
        "object_id": objects["object_id"].take(taken),
        "group": objects["group"].take(taken),
        "probability": objects["probability"].take(taken),
    }
    for name in ("label", "alerce_class"):
        column = _words(objects[name]).take(taken)
        columns[name] = column.cast(PLAN_SCHEMA.field(name).type)
    return pa.table([columns[name] for name in PLAN_SCHEMA.names], schema=PLAN_SCHEMA)


def _words(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return strings as a dictionary of int16, its words sorted."""
    words = sorted(pc.unique(column).to_pylist())
    codes = pc.index_in(column, value_set=pa.array(words, pa.string())).cast(pa.int16())
    return pa.DictionaryArray.from_arrays(codes.combine_chunks(), pa.array(words, pa.string()))


def _describe(plan: pa.Table, labels: list[str], sample: dict[str, int]) -> dict:
    """Count alerts and objects of the plan by label and by split, and add published counts."""
    slim = plan.select(["label", "split", "sampled", "object_id"])
    slim = slim.set_column(0, "label", slim["label"].cast(pa.string()))
    slim = slim.set_column(1, "split", slim["split"].cast(pa.string()))
    # Sorted by object within a label: an object begins where the name changes.
    changes = np.ones(plan.num_rows, dtype=bool)
    if plan.num_rows > 1:
        names = plan["object_id"].combine_chunks()
        changes[1:] = pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)
    slim = slim.drop(["object_id"]).append_column("objects", pa.array(changes.astype(np.int64)))
    grouped = slim.group_by(["label", "split", "sampled"])
    grouped = grouped.aggregate([("objects", "sum"), ("objects", "count")]).to_pylist()

    def total(measure: str, **selected) -> int:
        return sum(
            group[f"objects_{measure}"]
            for group in grouped
            if all(group[name] == value for name, value in selected.items())
        )

    def both(**selected) -> dict:
        return {
            "objects": total("sum", **selected),
            "alerts": total("count", **selected),
            "sampled_objects": total("sum", sampled=True, **selected),
            "sampled_alerts": total("count", sampled=True, **selected),
        }

    by_label = {label: both(label=label) for label in labels}
    for label, count in sample.items():
        by_label[label]["sample_asked"] = count
    return {
        "planned_alerts": plan.num_rows,
        "sampled_alerts": total("count", sampled=True),
        "by_label": by_label,
        "by_split": {
            name: {
                **both(split=name),
                "by_label": {
                    label: total("sum", split=name, label=label, sampled=True) for label in labels
                },
            }
            for name in SPLITS
        },
        "published": {
            "objects": PUBLISHED_OBJECTS,
            "matched_objects": sum(PUBLISHED_MATCHED.values()),
            "matched_by_label": PUBLISHED_MATCHED,
        },
        "taken_whole": sorted(
            label for label, count in sample.items() if by_label[label]["objects"] <= count
        ),
    }


def _log(counts: dict, sample: dict[str, int]) -> None:
    """Log what was matched, and which labels have too few objects for their samples."""
    logger.info(
        "%d alerts in %d nights, %d of them twice; %d objects, %d with a label",
        counts["alerts"],
        counts["nights"],
        counts["duplicate_alerts"],
        counts["objects"],
        counts["matched_objects"],
    )
    if counts["duplicate_alerts"]:
        logger.warning(
            "%s of %s alerts are also in a night with an earlier name: they count once",
            f"{counts['duplicate_alerts']:,}",
            f"{counts['alerts']:,}",
        )
    for label in counts["taken_whole"]:
        logger.warning(
            "%s has %d objects, not more than the %d in ztf.sample: all of them are used",
            label,
            counts["by_label"][label]["objects"],
            sample[label],
        )
