"""The page report.md: alerts of the nights, lost alerts, labels, matches and splits."""

from collections import Counter
from collections.abc import Iterable

from skymill.engine.markdown import escaped, markdown_table
from skymill.engine.products import Product
from skymill.ztf.groups import RADIUS_ARCSEC
from skymill.ztf.nights import spans
from skymill.ztf.plan import PUBLISHED_MATCHED, PUBLISHED_OBJECTS, SPLITS

COLUMNS = {
    "members": "alert files",
    "records": "alerts",
    "kept": "kept",
    "unlabelled": "no label",
    "null_cutout": "null cutout",
    "wrong_shape": "wrong shape",
    "dropped_at_edge": "dropped at edge",
    "no_data": "NaN everywhere",
    "duplicates": "repeated",
    "corrupt": "corrupt",
    "recovered": "recovered at edge",
    "alerts_with_nan": "with NaN",
    "ignored_members": "other files",
}
"""Counters of a night, with their names on the page. A missing counter counts as 0."""

CAUSES = {
    "avro": "the Avro record cannot be decoded",
    "fits": "a stamp is not a FITS image of float32",
    "gzip": "a stamp cannot be decompressed, or its checksum is wrong",
    "jpeg": "a stamp is a JPEG",
    "tar": "a file of the archive is damaged",
    "values": "a value is missing or impossible, or the object id has a wrong form",
}
"""Descriptions of the causes of corruption."""


def describe(
    *, nights: list[Product], labels: Product, plan: Product, absent: Iterable[str] = ()
) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    nights, labels, plan
        The nights in any order, the labels and the plan.
    absent
        Days of a range in `ztf.nights` that were skipped because they have no file.
    """
    by_night = {night.document["night"]: night.document for night in nights}
    by_night = dict(sorted(by_night.items()))
    labelled, planned = labels.document, plan.document
    parts = [
        "# ZTF: nights, labels and cross-match",
        f"Source: {', '.join(planned.get('sources', [planned['source']]))}",
        "## Nights",
        _nights(by_night),
        *_empty(by_night, absent),
        *_broken_off(by_night),
        *_ignored(by_night),
        "### Corrupt alerts",
        _causes(by_night),
        "## Labels",
        _labels(labelled),
        "## Cross-match",
        _crossmatch(planned["counts"]),
        "## Sample",
        _sample(planned["counts"]),
        "## Splits",
        _splits(planned["counts"]),
    ]
    return "\n\n".join(parts) + "\n"


def _nights(by_night: dict[str, dict]) -> str:
    """Return a row of counters for each night, and their sum."""
    rows, total = [], Counter()
    for night, manifest in by_night.items():
        found = {name: manifest.get("counts", {}).get(name, 0) for name in COLUMNS}
        total.update(found)
        rows.append([night, *found.values()])
    rows.append(["all", *(total[name] for name in COLUMNS)])
    return markdown_table(["night", *COLUMNS.values()], rows)


def _empty(by_night: dict[str, dict], absent: Iterable[str]) -> list[str]:
    """Return sentences that list nights without files and nights without alerts, if any."""
    empty = [
        night
        for night, manifest in by_night.items()
        if not any(manifest["counts"].get(name, 0) for name in ("members", "ignored_members"))
    ]
    lines = {
        "Nights without alerts (the tarball is empty, or the archive has none)": spans(empty),
        "Days of `ztf.nights` that were skipped because they have no file": spans(absent),
    }
    return [f"{what}: {nights}." for what, nights in lines.items() if nights]


def _broken_off(by_night: dict[str, dict]) -> list[str]:
    """Return the list of incomplete archives, if any."""
    lines = [
        f"- {night}: {escaped(manifest.get('broken_off'))}"
        for night, manifest in by_night.items()
        if manifest.get("truncated")
    ]
    return ["\n".join(["Incomplete archives:", "", *lines])] if lines else []


def _ignored(by_night: dict[str, dict]) -> list[str]:
    """Return the first files that are not alert files, if any."""
    rows = [
        [night, ", ".join(manifest["ignored"])]
        for night, manifest in by_night.items()
        if manifest.get("ignored")
    ]
    if not rows:
        return []
    return [
        "### Files that are not alert files",
        markdown_table(["night", "first files"], rows),
    ]


def _causes(by_night: dict[str, dict]) -> str:
    """Return the number of corrupt alerts by cause."""
    total: Counter = Counter()
    for manifest in by_night.values():
        total.update(manifest.get("counts", {}).get("corrupt_by_cause", {}))
    if not total.total():
        return "None."
    rows = [[cause, count, CAUSES.get(cause, "")] for cause, count in sorted(total.items())]
    return markdown_table(["cause", "alerts", "description"], rows)


def _labels(manifest: dict) -> str:
    """Return found and published objects of each class, and the counts of rows of the list."""
    classes, counts = manifest.get("classes", {}), manifest.get("counts", {})
    rows = [
        [name, found["objects"], "" if found["published"] is None else found["published"]]
        for name, found in classes.items()
    ]
    parts = [markdown_table(["class", "objects", "as published"], rows)]
    words = {
        "rows": "rows in the list",
        "kept": "objects with a label",
        "merged": "rows that repeat another row",
        "conflicts": "rows of objects with several classes, left out",
        "less_probable": "rows of a less probable class of an object",
        "unknown_class": "rows of an unknown class, left out",
        "low_probability": "rows below labels.min_probability",
        "other_classifier": "rows of other classifiers",
        "rejected": "rejected rows",
    }
    rows = [[what, counts.get(name, 0)] for name, what in words.items()]
    read = ", ".join(f"{column}: {escaped(n)}" for column, n in manifest.get("columns", {}).items())
    columns = [f"Columns of the list that were read: {read}."] if read else []
    return "\n\n".join([*parts, *columns, markdown_table(["rows or objects", "number"], rows)])


def _crossmatch(counts: dict) -> str:
    """Return the counts of the cross-match and of the published run."""
    matched = sum(PUBLISHED_MATCHED.values())
    rows = [
        ["nights", counts["nights"], ""],
        ["alerts with stamps", counts["alerts"], ""],
        ["alerts that are also in an earlier night", counts["duplicate_alerts"], ""],
        ["objects with stamps", counts["objects"], PUBLISHED_OBJECTS],
        ["objects matched", counts["matched_objects"], matched],
        ["alerts of matched objects", counts["matched_alerts"], ""],
        ["alerts selected", counts["planned_alerts"], ""],
    ]
    unlabelled = (
        "With `ztf.extract: labelled`, alerts without a label are left out when a night is read. "
        "Then all objects with stamps have a label."
    )
    return "\n\n".join(
        [markdown_table(["alerts or objects", "number", "as published"], rows), unlabelled]
    )


def matched_rows(counts: dict) -> list[list]:
    """Return matched, published, requested and sampled objects, and sampled alerts, by label."""
    return [
        [
            label,
            found["objects"],
            PUBLISHED_MATCHED.get(label, "none"),
            found.get("sample_asked", "all"),
            found["sampled_objects"],
            found["sampled_alerts"],
        ]
        for label, found in counts["by_label"].items()
    ]


def _sample(counts: dict) -> str:
    """Return matched and sampled objects of each label, with the published counts."""
    header = ["label", "matched objects", "as published", "requested", "sampled", "alerts sampled"]
    table = markdown_table(header, matched_rows(counts))
    whole = [
        f"{label} does not have more objects than requested, so the sample contains all of them."
        for label in counts["taken_whole"]
    ]
    return "\n\n".join([table, *whole])


def _splits(counts: dict) -> str:
    """Return the sampled objects of each split, by label."""
    labels = list(counts["by_label"])
    rows = []
    for name in SPLITS:
        split = counts["by_split"][name]
        by_label = [split["by_label"][label] for label in labels]
        rows.append([name, split["sampled_objects"], *by_label, split["sampled_alerts"]])
    table = markdown_table(["split", "sampled objects", *labels, "alerts"], rows)
    return (
        f"{table}\n\nAll alerts of an object are in the same split, and all objects of a group are "
        "in the same split. A group is a chain of objects, each within "
        f"{RADIUS_ARCSEC} arcsec of the next. The {counts['matched_objects']:,} objects are in "
        f"{counts['groups']:,} groups; {counts['objects_in_larger_groups']:,} objects are in "
        "groups of several objects."
    )
