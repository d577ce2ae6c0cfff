"""Checks that a job makes before its output counts, and the conservation of records."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.errors import SkymillError
from skymill.magnetic.schema import STEPS
from skymill.products import read_json


def require_records(table: pa.Table, record_id: np.ndarray) -> None:
    """Check that a table holds exactly these records, with the steps 0..59 of each in order.

    `record_id` is int64, ascending and unique.
    """
    expected = np.repeat(record_id, STEPS)
    if not np.array_equal(table["record_id"].to_numpy(), expected):
        raise SkymillError(_broken("its record ids are not those of the plan"))
    if not (np.diff(record_id) > 0).all():
        raise SkymillError(_broken("a record id occurs twice"))
    steps = table["seq_id"].to_numpy().reshape(-1, STEPS)
    if not (steps == np.arange(STEPS)).all():
        raise SkymillError(_broken("a record has other steps than 0..59"))


def require_finite(table: pa.Table) -> None:
    """Check that every float column is finite, so that a model can be trained on it."""
    for field in table.schema:
        if pa.types.is_floating(field.type):
            values = table[field.name].to_numpy()
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                where = f"record {table['record_id'][row]}, step {table['seq_id'][row]}"
                raise SkymillError(_broken(f"{field.name} is {values[row]} in {where}"))


def require_counts(output: Path, found: dict[str, int], expected: dict[str, int]) -> None:
    """Check that as many records of each class were written as the plan promises."""
    wanted = {label: count for label, count in expected.items() if count}
    if dict(found) != wanted:
        raise SkymillError(
            f"{output} would hold {dict(found)} records by class, but the plan promises {wanted}. "
            "The plan and the values do not belong together: delete "
            "data/preprocessed/solar_flare_2020 and run again."
        )


def _broken(what: str) -> str:
    return f"a piece of the output failed its check: {what}. Please report this with the log."


def require_accepted(
    partition: str, counts: dict, quarantine: Path, max_rejected_fraction: float
) -> None:
    """Raise SkymillError, naming the first offenders, when too many lines were rejected.

    `counts` are those of `ingest`; the fraction is of the lines that are not blank.
    """
    met = counts["valid"] + counts["rejected"]
    if counts["valid"] and counts["rejected"] <= max_rejected_fraction * met:
        return
    lines = quarantine.read_text(encoding="utf-8").splitlines()[:5]
    if counts["valid"]:
        what = (
            f"{counts['rejected']:,} of {met:,} lines of {partition}.json were rejected "
            f"({counts['rejected'] / met:.2%}, allowed {max_rejected_fraction:.2%})"
        )
    else:
        what = f"{partition}.json holds no valid record ({counts['rejected']:,} lines rejected)"
    reasons = ", ".join(f"{name} {count:,}" for name, count in counts["rejected_by_reason"].items())
    raise SkymillError(
        f"{what}: {reasons or 'the file is empty'}.\n"
        + "".join(f"  {line}\n" for line in lines)
        + f"All of them stand in {quarantine}. Mend or replace the file, or raise "
        "limits.max_rejected_fraction if that many are expected."
    )


def conserve(
    ingested: list[Path],
    ids: Path,
    clean: Path,
    plan: Path | None = None,
    augmented: Path | None = None,
) -> dict:
    """Balance the books of one collection: every line met is kept or accounted for.

    Parameters
    ----------
    ingested
        Manifests of the ingested values of each partition.
    ids, clean, plan, augmented
        Manifests; `plan` and `augmented` are None for the test file, which is not augmented.

    Returns
    -------
    The numbers, once they agree.

    Raises
    ------
    SkymillError
        With both numbers, when they do not.
    """
    counts = [read_json(path)["counts"] for path in ingested]
    identified = read_json(ids)["counts"]
    books = {
        name: sum(count[name] for count in counts)
        for name in ("lines", "valid", "rejected", "blank")
    }
    books["dropped_identical"] = identified["dropped_identical"]
    books["kept"] = identified["kept"]
    books["clean_files"] = _records(clean)
    equations = [
        ("lines met", "lines", "valid + rejected + blank", ("valid", "rejected", "blank")),
        ("valid records", "valid", "kept + dropped_identical", ("kept", "dropped_identical")),
        ("records kept", "kept", "records in the clean files", ("clean_files",)),
    ]
    if plan and augmented:
        planned = read_json(plan)["counts"]
        books["planned"] = planned["records"]
        books["removed"] = sum(planned["removed_by_label"].values())
        by_method = [split["by_method"] for split in planned["by_split"].values()]
        books["originals"] = sum(methods["original"] for methods in by_method)
        books["synthetic"] = sum(
            count for methods in by_method for name, count in methods.items() if name != "original"
        )
        books["augmented_planned"] = planned["augmented_records"]
        books["augmented_files"] = _records(augmented)
        equations += [
            ("records kept", "kept", "originals + removed", ("originals", "removed")),
            ("records planned", "planned", "originals + synthetic", ("originals", "synthetic")),
            (
                "augmented records planned",
                "augmented_planned",
                "records in the augmented files",
                ("augmented_files",),
            ),
        ]
    for left_name, left, right_name, right in equations:
        total = sum(books[name] for name in right)
        if books[left] != total:
            raise SkymillError(
                f"the books do not balance: {left_name} {books[left]:,}, {right_name} {total:,}. "
                "A product does not belong to the others: delete data/interim and "
                "data/preprocessed/solar_flare_2020 and run again."
            )
    return books


def _records(manifest: Path) -> int:
    """Return how many records the files of a product hold, by its manifest."""
    return sum(entry["rows"] for entry in read_json(manifest)["files"]) // STEPS
