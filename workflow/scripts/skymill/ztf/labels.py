"""Make one label for each object: resolve repeated objects, and map classes to labels."""

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
from skymill.ztf.classes import MEMBERS, PUBLISHED_COUNTS, KnownClasses, one_class
from skymill.ztf.label_columns import ALIASES
from skymill.ztf.label_lists import OUTSIDE, LabelList, read_list

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("object_id", pa.string(), nullable=False),
        pa.field("alerce_class", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("probability", pa.float32()),
    ]
)
"""One row per object, sorted by object_id."""

ON_CONFLICT = ("drop", "most_probable", "fail")
"""Settings for objects that are listed with several classes."""

UNKNOWN = ("fail", "drop", "other")
"""Settings for objects of an unknown class."""

MOST_CLASSES = 1000
"""Maximum number of classes of a list. With more classes, the column contains something else."""

SHOWN = 5
"""Number of conflicts that a message shows."""
SHOWN_CLASSES = 30
"""Number of classes that a message names."""

SUM_TOLERANCE = 0.02
"""How far the sum of an object's probabilities may be from 1, because lists round them."""
SUM_SHARE = 0.95
"""Least share of objects whose probabilities add up to 1 in a list with a row for each class."""

PARTS = (
    "other_classifier",
    "low_probability",
    "less_probable",
    "conflicts",
    "unknown_class",
    "merged",
    "kept",
)
"""Counts of accepted rows: each row is counted in one of them."""


@dataclass(frozen=True)
class Rules:
    """How a list becomes labels.

    Attributes
    ----------
    source
        The published list, a key of classes.MEMBERS.
    columns
        Names of columns, see label_columns.find_columns.
    classifier
        Use only the rows of this classifier, if the list has a column of classifiers; None for all
        rows.
    on_conflict
        One of ON_CONFLICT.
    unknown
        One of UNKNOWN.
    min_probability
        Rows with a smaller probability, or without one, are left out before the search for
        conflicts.
    labels
        Label by class. A class is known if it is listed here or in the published lists.
    other
        Label of the known classes that are not listed here.
    """

    source: str = "predictions"
    columns: dict[str, str | None] = field(default_factory=dict)
    classifier: str | None = None
    on_conflict: str = "drop"
    unknown: str = "fail"
    min_probability: float = 0.0
    labels: dict[str, str] = field(
        default_factory=lambda: {"QSO": "QSO", "YSO": "YSO", "AGN": "AGN"}
    )
    other: str = "Otro"

    def __post_init__(self):
        for names in one_class(self.labels):
            raise SkymillError(f"config: {names}")
        for name, value, known in (
            ("source", self.source, tuple(MEMBERS)),
            ("on_conflict", self.on_conflict, ON_CONFLICT),
            ("unknown", self.unknown, UNKNOWN),
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
        JSON lines, sorted: conflicts (reason `conflict`, one per object, with its classes and their
        probabilities), unknown classes that were left out (`unknown_class`, one per class, with its
        number of rows) and rejected rows (their line, with the reasons of label_lists).

    Returns
    -------
    The content of the manifest: `files`, `list` (its name), `columns` (the columns that were read),
    `row_per_class` (whether the list has a row for each class of an object), `counts`, `classes`
    (published and kept) and `labels` (kept).

    Raises
    ------
    SkymillError
        When the list cannot be read, a setting cannot be applied to the list, no label is left, or
        the settings do not allow its unknown classes or conflicts.
    """
    listed = read_list(raw, rules.source, rules.columns)
    resolved = resolve(listed, rules, str(raw))
    counts = resolved.counts
    found = resolved.problems + [
        {"reason": r.reason, "line": r.line, "detail": r.detail} for r in listed.rejects
    ]
    if more := counts["rejected"] - len(listed.rejects):
        found.append({"reason": "more_rejected_rows", "rows": more})
    lines = sorted(json.dumps(entry, ensure_ascii=False) for entry in found)
    if rules.on_conflict == "fail" and counts["conflicting_objects"]:
        conflicts = [entry for entry in found if entry["reason"] == "conflict"]
        shown = "\n".join(f"  {entry['detail']}: {entry['classes']}" for entry in conflicts[:SHOWN])
        raise SkymillError(
            f"{raw}: {counts['conflicting_objects']:,} objects of {listed.name} are listed with "
            f"several classes:\n{shown}\nFix the list, or set labels.on_conflict to drop or "
            "most_probable."
        )
    if not resolved.table.num_rows:
        reasons = ", ".join(
            f"{name} {counts[name]:,}" for name in ("rejected", *PARTS) if counts[name]
        )
        shown = "\n".join(f"  {line}" for line in lines[:SHOWN])
        raise SkymillError(
            f"{raw}: no label is left of the {counts['rows']:,} rows of {listed.name}"
            f"{reasons and f' ({reasons})'}.\n{shown}\nCheck that this is the right list, with the "
            f"right columns ({_columns(listed)}), and check the settings in labels."
        )
    with new_file(problems) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _warn(listed, resolved, rules)
    return {
        "files": [write_table(output, resolved.table)],
        "list": listed.name,
        "columns": listed.columns,
        "row_per_class": resolved.row_per_class,
        "counts": counts,
        "classes": _compare(resolved.table, listed),
        "labels": _count(resolved.table["label"]),
    }


@dataclass(frozen=True)
class Resolved:
    """Labels, and counts of the rows.

    Attributes
    ----------
    table
        See SCHEMA.
    counts
        rows = accepted + rejected; accepted = the sum over PARTS. Also the number of objects, of
        objects with several classes, and of objects that were left out because of several classes.
    problems
        Conflicts, and unknown classes that were left out.
    unknown
        The unknown classes that an object would have or has, and their rows.
    row_per_class
        Whether the list has a row for each class of an object.
    """

    table: pa.Table
    counts: dict
    problems: list[dict]
    unknown: dict[str, int]
    row_per_class: bool


def resolve(listed: LabelList, rules: Rules, where: str = "the list") -> Resolved:
    """Return one label per object. The order of the rows does not matter.

    Rows of one object with the same class are merged, with the highest probability. Some lists have
    a row for each class of an object: lists with a column of classifiers or rankings, and lists
    where the probabilities of each object add up to 1. In these lists the most probable class
    counts. In other lists an object with several classes is a conflict: it is left out, or with
    `most_probable` keeps the class with the highest probability. If the highest probability occurs
    twice, the object stays undecided.

    Raises
    ------
    SkymillError
        When a filter cannot be applied, or the settings do not allow unknown classes; `where` names
        the list.
    """
    counts = {
        "rows": listed.lines,
        "blank": listed.blank,
        "accepted": listed.rows.num_rows,
        "rejected": listed.rejected.total(),
        "rejected_by_reason": dict(sorted(listed.rejected.items())),
    }
    rows = _of_classifier(listed, rules, where)
    counts["other_classifier"] = counts["accepted"] - rows.num_rows
    known = KnownClasses(rules.labels)
    rows, names, is_known = _coded(rows, known)
    order = [("object", "ascending"), ("class", "ascending")]
    order += [("probability", "descending"), ("ranking", "ascending")]
    rows = rows.sort_by(order).combine_chunks()
    row_per_class = (
        listed.has("classifier") or listed.has("ranking") or _add_up_to_one(_single(rows))
    )
    sure = _sure(rows, listed, rules, where)
    counts["low_probability"] = rows.num_rows - sure.num_rows
    single = _single(sure)
    sizes = np.repeat(single.of_object, single.of_object)
    several = sizes > 1
    kept = ~several
    if row_per_class or rules.on_conflict == "most_probable":
        kept |= _most_probable(single)
    # In a list with a row for each class, a less probable class is not a conflict.
    decided = np.logical_or.reduceat(kept, single.starts) if len(sizes) else np.zeros(0, bool)
    decided = np.repeat(decided, single.of_object)
    in_conflict = several & ~decided if row_per_class else several
    counts["less_probable"] = int(single.rows[~kept & ~in_conflict].sum())
    counts["conflicts"] = int(single.rows[~kept & in_conflict].sum())
    counts["objects"] = len(single.of_object)
    counts["conflicting_objects"] = int(in_conflict[single.starts].sum())
    counts["undecided_objects"] = int((in_conflict & ~decided)[single.starts].sum())
    if counts["conflicting_objects"]:
        _require_choice(listed, rules, where)
    conflicts = single.table.filter(pa.array(in_conflict))
    problems = _describe_conflicts(conflicts, names, kept[in_conflict])
    codes = single.table["class"].to_numpy()
    is_unknown = kept & ~is_known[codes]
    unknown = _rows_by_class(codes[is_unknown], single.rows[is_unknown], names)
    if unknown and rules.unknown == "fail":
        raise SkymillError(_unknown(where, unknown, rules))
    counts["unknown_class"] = 0
    if rules.unknown == "drop":
        counts["unknown_class"] = int(single.rows[is_unknown].sum())
        kept &= ~is_unknown
        problems += [
            {"reason": "unknown_class", "detail": name, "rows": count}
            for name, count in unknown.items()
        ]
    counts["merged"] = int((single.rows[kept] - 1).sum())
    counts["kept"] = int(kept.sum())
    if (
        counts["accepted"] + counts["rejected"] != counts["rows"]
        or sum(counts[part] for part in PARTS) != counts["accepted"]
    ):
        raise AssertionError(f"rows of the label list got lost: {counts}")
    labels = {known.find(name): label for name, label in rules.labels.items()}
    table = _label(single.table.filter(pa.array(kept)), names, labels, rules.other)
    if len(pc.unique(table["alerce_class"])) > MOST_CLASSES:
        raise SkymillError(
            f"{where}: {listed.columns['class']} has more than {MOST_CLASSES:,} classes, such as "
            f"{', '.join(names[:SHOWN])}. Name the column of classes in labels.columns.class."
        )
    return Resolved(table, counts, problems, unknown, row_per_class)


def _require_choice(listed: LabelList, rules: Rules, where: str) -> None:
    """Refuse `most_probable` for a list without probabilities and rankings."""
    if rules.on_conflict == "most_probable" and not (
        listed.has("probability") or listed.has("ranking")
    ):
        raise SkymillError(
            f"{where} has objects with several classes, but no column of probabilities "
            f"({_columns(listed)}), so labels.on_conflict most_probable cannot be applied."
            f"{_doubt(listed, 'probability')} Name the column in labels.columns.probability, or "
            "set labels.on_conflict to drop."
        )


def _of_classifier(listed: LabelList, rules: Rules, where: str) -> pa.Table:
    """Return the rows of the classifier that was chosen."""
    chosen = rules.classifier
    if chosen is None:
        return listed.rows
    if not listed.has("classifier"):
        raise SkymillError(
            f"{where} has no column of classifiers ({_columns(listed)}), so labels.classifier "
            f"{chosen} cannot be chosen.{_doubt(listed, 'classifier')} Set labels.classifier to "
            "null, or use another list."
        )
    rows = listed.rows.filter(pc.equal(listed.rows["classifier"], chosen))
    if not rows.num_rows:
        raise SkymillError(
            f"{where} has no row of the classifier {chosen}, which labels.classifier names. It has "
            f"{_shown(_count(listed.rows['classifier']))}."
        )
    return rows


def _coded(rows: pa.Table, known: KnownClasses) -> tuple[pa.Table, list[str], np.ndarray]:
    """Return the rows with codes as classes, the names of the codes, and which names are known.

    A code (int32) is the place in the names. Unknown classes keep the spelling of the list.
    """
    encoded = rows["class"].combine_chunks().dictionary_encode()
    spellings = encoded.dictionary.to_pylist()
    found = [known.find(spelling) or spelling for spelling in spellings]
    names = sorted(set(found))
    place = {name: number for number, name in enumerate(names)}
    codes = np.array([place[name] for name in found], np.int32)
    codes = codes[encoded.indices.to_numpy(zero_copy_only=False)]
    coded = rows.set_column(rows.column_names.index("class"), "class", pa.array(codes))
    is_known = np.array([known.find(name) is not None for name in names], bool)
    return coded.drop_columns(["classifier"]), names, is_known


@dataclass(frozen=True)
class _Single:
    """One row for each object and class, sorted by both.

    Attributes
    ----------
    table
        The row with the highest probability of each object and class.
    rows
        Number of rows of each object and class, int64, shape (n,).
    starts, of_object
        Where each object begins, and its number of classes, shape (objects,).
    """

    table: pa.Table
    rows: np.ndarray
    starts: np.ndarray
    of_object: np.ndarray


def _single(rows: pa.Table) -> _Single:
    new_object = _changes(rows["object"])
    first = new_object | _changes(rows["class"])
    table = rows.filter(pa.array(first)).combine_chunks()
    starts = np.flatnonzero(new_object[first])
    return _Single(
        table,
        np.diff(np.flatnonzero(first), append=rows.num_rows),
        starts,
        np.diff(starts, append=table.num_rows),
    )


def _changes(column: pa.ChunkedArray) -> np.ndarray:
    """Return where a column without nulls differs from the previous row, bool, shape (n,)."""
    changed = np.ones(len(column), bool)
    if len(column) > 1:
        changed[1:] = pc.not_equal(column[1:], column[:-1]).to_numpy()
    return changed


def _add_up_to_one(single: _Single) -> bool:
    """Return whether the probabilities of the classes of an object add up to 1."""
    several = single.of_object > 1
    if not several.any():
        return False
    probability = pc.fill_null(single.table["probability"], 0.0).to_numpy()
    near = np.abs(np.add.reduceat(probability, single.starts) - 1) <= SUM_TOLERANCE
    return bool(near.mean() >= SUM_SHARE and near[several].mean() >= SUM_SHARE)


def _sure(rows: pa.Table, listed: LabelList, rules: Rules, where: str) -> pa.Table:
    """Return the rows that are probable enough."""
    if not rules.min_probability > 0:
        return rows
    if not listed.has("probability"):
        raise SkymillError(
            f"{where} has no column of probabilities ({_columns(listed)}), so "
            f"labels.min_probability {rules.min_probability:g} cannot be applied."
            f"{_doubt(listed, 'probability')} Name the column in labels.columns.probability, or "
            "set labels.min_probability to 0."
        )
    if listed.rejected[OUTSIDE]:
        first = next(row for row in listed.rejects if row.reason == OUTSIDE)
        raise SkymillError(
            f"{where}: {listed.rejected[OUTSIDE]:,} rows of {listed.columns['probability']} are "
            f"not between 0 and 1, so labels.min_probability cannot be applied. The first is in "
            f"line {first.line:,}: {first.detail}. Fix the list, name another column in "
            "labels.columns.probability, or set labels.min_probability to 0."
        )
    sure = pc.greater_equal(rows["probability"], rules.min_probability)
    return rows.filter(pc.fill_null(sure, False)).combine_chunks()


def _most_probable(single: _Single) -> np.ndarray:
    """Return which row is the most probable row of its object, bool, shape (n,).

    If probabilities are equal, the ranking decides. If the rankings are equal too, no row of the
    object is chosen. Missing values come last.
    """
    best = np.ones(len(single.rows), bool)
    if not len(best):
        return best
    probability = pc.fill_null(single.table["probability"], -1.0).to_numpy()
    ranking = pc.fill_null(single.table["ranking"], np.inf).to_numpy()
    for value in (probability, -ranking):
        candidates = np.where(best, value, -np.inf)
        highest = np.maximum.reduceat(candidates, single.starts)
        best &= candidates == np.repeat(highest, single.of_object)
    alone = np.add.reduceat(best, single.starts, dtype=int) == 1
    return best & np.repeat(alone, single.of_object)


def _describe_conflicts(rows: pa.Table, names: list[str], kept: np.ndarray) -> list[dict]:
    """Return the problem of each object with several classes."""
    conflicts: dict[str, dict] = {}
    for row, winner in zip(rows.to_pylist(), kept.tolist(), strict=True):
        name = names[row["class"]]
        entry = conflicts.setdefault(
            row["object"],
            {"reason": "conflict", "detail": row["object"], "classes": {}, "kept": None},
        )
        entry["classes"][name] = row["probability"]
        if winner:
            entry["kept"] = name
    return list(conflicts.values())


def _rows_by_class(codes: np.ndarray, rows: np.ndarray, names: list[str]) -> dict[str, int]:
    """Return the rows of each class, the most frequent first."""
    counted = np.bincount(codes, weights=rows, minlength=len(names)).astype(int)
    found = {name: int(count) for name, count in zip(names, counted, strict=True) if count}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))


def _unknown(where: str, unknown: dict[str, int], rules: Rules) -> str:
    """Return the message about unknown classes."""
    example = json.dumps({name: "..." for name in [*unknown][:2]}, ensure_ascii=False)
    return (
        f"{where}: {sum(unknown.values()):,} rows have a class that is neither in the published "
        f"lists nor in labels.map: {_shown(unknown)}. Add labels in labels.map, such as {example}. "
        f"Or set labels.unknown to `drop`, or to `other` for the label {rules.other}."
    )


def _label(rows: pa.Table, names: list[str], labels: dict[str, str], other: str) -> pa.Table:
    of_class = pa.array([labels.get(name, other) for name in names], pa.string())
    classes = rows["class"].combine_chunks()
    return pa.table(
        [
            rows["object"],
            pa.array(names, pa.string()).take(classes),
            of_class.take(classes),
            rows["probability"].cast(pa.float32()),
        ],
        schema=SCHEMA,
    )


def _compare(table: pa.Table, listed: LabelList) -> dict:
    """Return the number of objects of each class, kept and published; None if not published."""
    counted = _count(table["alerce_class"])
    published = PUBLISHED_COUNTS if listed.name == MEMBERS["predictions"] else {}
    return {
        name: {"objects": counted.get(name, 0), "published": published.get(name)}
        for name in dict.fromkeys([*PUBLISHED_COUNTS, *counted])
    }


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    """Return the number of occurrences of each value, the most frequent first."""
    counted = Counter({e["values"]: e["counts"] for e in pc.value_counts(column).to_pylist()})
    return dict(sorted(counted.items(), key=lambda entry: (-entry[1], str(entry[0]))))


def _shown(counted: dict[str, int]) -> str:
    """Return the first names with their counts."""
    shown = [f"{name} ({count:,})" for name, count in [*counted.items()][:SHOWN_CLASSES]]
    more = [f"and {len(counted) - SHOWN_CLASSES:,} more"] if len(counted) > SHOWN_CLASSES else []
    return ", ".join(shown + more)


def _columns(listed: LabelList) -> str:
    return ", ".join(f"{column}: {name}" for column, name in listed.columns.items())


def _doubt(listed: LabelList, column: str) -> str:
    names = [name for name, meant in listed.doubts.items() if meant == column]
    return f" Is {' or '.join(names)} meant?" if names else ""


def _warn(listed: LabelList, resolved: Resolved, rules: Rules) -> None:
    """Log warnings about losses, and about columns and classifiers that the user should check."""
    counts, name = resolved.counts, listed.name
    if counts["rejected"]:
        logger.warning(
            "%s: %s of %s rows are rejected: %s",
            name,
            f"{counts['rejected']:,}",
            f"{counts['rows']:,}",
            _shown(counts["rejected_by_reason"]),
        )
    if counts["conflicting_objects"]:
        logger.warning(
            "%s: %s objects are listed with several classes; labels.on_conflict is %s",
            name,
            f"{counts['conflicting_objects']:,}",
            rules.on_conflict,
        )
    if resolved.unknown:
        fate = "are left out" if rules.unknown == "drop" else f"have the label {rules.other}"
        logger.warning("%s: rows of unknown classes %s: %s", name, fate, _shown(resolved.unknown))
    for column, meant in listed.doubts.items():
        logger.warning(
            "%s: the column %s is not read. If it is the %s, %s",
            name,
            column,
            meant,
            "name it in labels.columns.probability"
            if meant == "probability"
            else f"rename it to {ALIASES[meant][0]}",
        )
    classifiers = _count(listed.rows["classifier"]) if listed.has("classifier") else {}
    if rules.classifier is None and len(classifiers) > 1:
        logger.warning(
            "%s has rows of several classifiers: %s. The most probable class of all of them "
            "counts. Choose one classifier in labels.classifier",
            name,
            _shown(classifiers),
        )
    logger.info("%d labels of %d rows", counts["kept"], counts["rows"])
