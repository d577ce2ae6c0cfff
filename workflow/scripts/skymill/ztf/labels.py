"""One label for each object: classes checked, repeated objects settled, classes mapped."""

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.errors import SkymillError
from skymill.engine.products import new_file
from skymill.engine.tables import write_table
from skymill.ztf.classes import CLASSES, MEMBERS, PUBLISHED_COUNTS, canonical_class
from skymill.ztf.label_lists import LabelList, read_list

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("object_id", pa.string(), nullable=False),
        pa.field("alerce_class", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("probability", pa.float32()),
    ]
)
"""One row an object, sorted by object_id."""

ON_CONFLICT = ("drop", "most_probable", "fail")
"""What happens to objects that are listed with several classes."""

SHOWN = 5
"""Conflicts that a message shows."""


@dataclass(frozen=True)
class Rules:
    """How a list becomes labels.

    Attributes
    ----------
    source
        Which of the published lists, a key of classes.MEMBERS.
    on_conflict
        One of ON_CONFLICT.
    min_probability
        Rows with a smaller one, or with none in a list that has the column, say nothing: they are
        left out before conflicts are looked for.
    labels
        Label by class; classes that are not named get the label `other`.
    """

    source: str = "predictions"
    on_conflict: str = "drop"
    min_probability: float = 0.0
    labels: dict[str, str] = field(
        default_factory=lambda: {"QSO": "QSO", "YSO": "YSO", "AGN": "AGN"}
    )
    other: str = "Otro"

    def __post_init__(self):
        unheard = sorted(set(self.labels) - set(CLASSES))
        if unheard:
            raise SkymillError(
                f"config: labels.map names {', '.join(unheard)}, which the list does not know. Its "
                f"classes are {', '.join(CLASSES)}."
            )
        for name, value, known in (
            ("source", self.source, tuple(MEMBERS)),
            ("on_conflict", self.on_conflict, ON_CONFLICT),
        ):
            if value not in known:
                raise SkymillError(
                    f"config: labels.{name} is {value!r}; it must be one of {', '.join(known)}."
                )


def read_labels(raw: Path, output: Path, problems: Path, rules: Rules) -> dict:
    """Read a list of labelled objects and write its two products.

    Parameters
    ----------
    raw
        See label_lists.read_list.
    output
        Parquet, see SCHEMA.
    problems
        JSON lines, sorted: conflicts (reason `conflict`, one an object, with its classes and their
        probabilities), classes that nobody has heard of (`unknown_class`, one a class, with its
        number of rows) and rows that are no labels (reasons of label_lists).

    Returns
    -------
    The manifest's part on content: `files`, `list` (its name), `counts`, `classes` (published
    and kept), `labels` (kept) and `warnings`.

    Raises
    ------
    SkymillError
        When the list cannot be read, no label is left, or objects conflict and may not.
    """
    listed = read_list(raw, rules.source)
    table, counts, found = settle(listed, rules)
    found += [{"reason": row.reason, "detail": row.detail} for row in listed.bad]
    lines = sorted(json.dumps(entry, ensure_ascii=False) for entry in found)
    if rules.on_conflict == "fail" and counts["conflicting_objects"]:
        conflicts = [entry for entry in found if entry["reason"] == "conflict"]
        shown = "\n".join(f"  {entry['detail']}: {entry['classes']}" for entry in conflicts[:SHOWN])
        raise SkymillError(
            f"{raw}: {counts['conflicting_objects']:,} objects of {listed.name} are listed with "
            f"several classes:\n{shown}\nMend the list, or set labels.on_conflict to drop or "
            "most_probable."
        )
    if not table.num_rows:
        reasons = ", ".join(
            f"{name} {counts[name]:,}"
            for name in ("bad", "unknown_class", "low_probability", "conflicts")
        )
        shown = "\n".join(f"  {line}" for line in lines[:SHOWN])
        raise SkymillError(
            f"{raw}: no label is left of the {counts['rows']:,} rows of {listed.name} ({reasons})."
            f"\n{shown}\nIs it the right list? Otherwise look at labels.min_probability and "
            "labels.on_conflict."
        )
    with new_file(problems) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return {
        "files": [write_table(output, table)],
        "list": listed.name,
        "counts": counts,
        "classes": _compare(table, listed),
        "labels": _count(table["label"]),
        "warnings": _warnings(listed, counts, rules),
    }


def settle(listed: LabelList, rules: Rules) -> tuple[pa.Table, dict, list[dict]]:
    """Return one label an object, whatever order the rows came in.

    Returns
    -------
    The table (SCHEMA, sorted by object_id), the counts (rows = bad + unknown_class +
    low_probability + merged + conflicts + kept) and what is to be told of conflicts and unknown
    classes.

    Rows of one object with the same class merge, and the highest probability stays. An object with
    several classes is in conflict: it is left out, or under `most_probable` keeps the class with
    the highest probability, unless two classes share that.
    """
    counts = {"rows": listed.rows.num_rows + len(listed.bad), "bad": len(listed.bad)}
    counts["bad_by_reason"] = dict(sorted(Counter(row.reason for row in listed.bad).items()))
    coded, unheard = _known_classes(listed.rows)
    counts["unknown_class"] = listed.rows.num_rows - coded.num_rows
    heard = coded.num_rows
    if rules.min_probability > 0 and listed.has_probability:
        sure = pc.greater_equal(coded["probability"], rules.min_probability)
        coded = coded.filter(pc.fill_null(sure, False))
    counts["low_probability"] = heard - coded.num_rows
    # One row an object and class, with its highest probability.
    order = [("object_id", "ascending"), ("class", "ascending"), ("probability", "descending")]
    coded = coded.sort_by(order).combine_chunks()
    new_object = _changes(coded["object_id"])
    first = new_object | _changes(coded["class"])
    single = coded.filter(pa.array(first))
    new_object = new_object[first]
    sizes = np.diff(np.flatnonzero(new_object), append=single.num_rows)
    conflicting = np.repeat(sizes > 1, sizes)
    kept = ~conflicting
    if rules.on_conflict == "most_probable":
        kept |= _most_probable(single, sizes)
    # Rows behind each of the single ones; those of a class that lost are no merged ones.
    rows = np.diff(np.flatnonzero(first), append=coded.num_rows)
    counts["merged"] = int((rows[kept] - 1).sum())
    counts["conflicts"] = int(rows[~kept].sum())
    counts["conflicting_objects"] = int((sizes > 1).sum())
    counts["kept"] = int(kept.sum())
    parts = ("bad", "unknown_class", "low_probability", "merged", "conflicts", "kept")
    if sum(counts[part] for part in parts) != counts["rows"]:
        raise AssertionError(f"rows of the label list got lost: {counts}")
    told = [
        {"reason": "unknown_class", "detail": name, "rows": rows}
        for name, rows in sorted(unheard.items())
    ]
    told += _tell_conflicts(single.filter(pa.array(conflicting)), kept[conflicting])
    return _label(single.filter(pa.array(kept)), rules), counts, told


def _known_classes(rows: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Return object_id, class (place in CLASSES, int8) and probability of the rows with a class.

    And how many rows have each class that nobody has heard of.
    """
    encoded = rows["alerce_class"].combine_chunks().dictionary_encode()
    names = [canonical_class(name) for name in encoded.dictionary.to_pylist()]
    code = np.array([-1 if name is None else CLASSES.index(name) for name in names], np.int8)
    index = encoded.indices.to_numpy(zero_copy_only=False)
    classes = code[index]
    occurrences = np.bincount(index, minlength=len(names)).tolist()
    unheard = {
        spelling: count
        for spelling, name, count in zip(
            encoded.dictionary.to_pylist(), names, occurrences, strict=True
        )
        if name is None
    }
    coded = pa.table(
        {
            "object_id": rows["object_id"],
            "class": pa.array(classes),
            "probability": rows["probability"],
        }
    )
    return (coded.filter(pa.array(classes >= 0)) if unheard else coded), unheard


def _changes(column: pa.ChunkedArray) -> np.ndarray:
    """Return where a column without nulls differs from the row before, bool, shape (n,)."""
    changed = np.ones(len(column), bool)
    if len(column) > 1:
        changed[1:] = pc.not_equal(column[1:], column[:-1]).to_numpy()
    return changed


def _most_probable(single: pa.Table, sizes: np.ndarray) -> np.ndarray:
    """Return which row is the one with the highest probability of its object, bool, shape (n,).

    `sizes` are the rows of each object. None where several share it; a missing one is the lowest.
    """
    if not len(sizes):
        return np.zeros(0, bool)
    probability = pc.fill_null(single["probability"], -1.0).to_numpy()
    highest = np.maximum.reduceat(probability, np.cumsum(sizes) - sizes)
    best = probability == np.repeat(highest, sizes)
    alone = np.add.reduceat(best, np.cumsum(sizes) - sizes, dtype=int) == 1
    return best & np.repeat(alone, sizes)


def _tell_conflicts(rows: pa.Table, kept: np.ndarray) -> list[dict]:
    """Return what is told of each object with several classes."""
    told: dict[str, dict] = {}
    for row, winner in zip(rows.to_pylist(), kept.tolist(), strict=True):
        name = CLASSES[row["class"]]
        entry = told.setdefault(
            row["object_id"],
            {"reason": "conflict", "detail": row["object_id"], "classes": {}, "kept": None},
        )
        entry["classes"][name] = row["probability"]
        if winner:
            entry["kept"] = name
    return list(told.values())


def _label(rows: pa.Table, rules: Rules) -> pa.Table:
    labels = pa.array([rules.labels.get(name, rules.other) for name in CLASSES])
    return pa.table(
        [
            rows["object_id"],
            pa.array(CLASSES).take(rows["class"].combine_chunks()),
            labels.take(rows["class"].combine_chunks()),
            rows["probability"].cast(pa.float32()),
        ],
        schema=SCHEMA,
    )


def _compare(table: pa.Table, listed: LabelList) -> dict:
    """Return the objects of each class that are kept and, where they were counted, published."""
    counted = _count(table["alerce_class"])
    return {
        name: {
            "objects": counted.get(name, 0),
            "published": count if listed.name == MEMBERS["predictions"] else None,
        }
        for name, count in PUBLISHED_COUNTS.items()
    }


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs."""
    counted = pc.value_counts(column).to_pylist()
    return {entry["values"]: entry["counts"] for entry in counted}


def _warnings(listed: LabelList, counts: dict, rules: Rules) -> list[str]:
    warnings = []
    if counts["unknown_class"]:
        warnings.append(
            f"{counts['unknown_class']:,} rows have a class that nobody has heard of and are left "
            "out; the file of problems beside the labels names the classes"
        )
    if counts["bad"]:
        warnings.append(f"{counts['bad']:,} rows are no labels and are left out")
    if counts["conflicting_objects"]:
        unknown = rules.on_conflict == "most_probable" and not listed.has_probability
        warnings.append(
            f"objects listed with several classes: {counts['conflicting_objects']:,}; "
            f"labels.on_conflict is {rules.on_conflict}"
            + (", but without probabilities in the list they are left out" if unknown else "")
        )
    if rules.min_probability > 0 and not listed.has_probability:
        warnings.append(
            f"{listed.name} has no probabilities, so labels.min_probability has no effect"
        )
    for warning in warnings:
        logger.warning("%s", warning)
    logger.info("%d labels of %d rows", counts["kept"], counts["rows"])
    return warnings
