"""The gate behind the catalogue: how much may be lost or damaged before a run gives up."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError

DAMAGED = ("undecodable", "not_256_8bit", "all_black")
"""Statuses of an image that count as damage."""

SHOWN = 5
_LOST = ("malformed_row", "row_without_folder")
_DAMAGED = tuple(f"image_{status}" for status in DAMAGED)
_WHAT = {
    "limits.max_damaged_fraction": ("images are damaged", _DAMAGED),
    "limits.max_lost_samples_fraction": (
        "rows of the metadata are malformed or have no folder",
        _LOST,
    ),
}


def losses(counts: dict, limits: dict) -> dict[str, tuple[int, int, float]]:
    """Return for each limit how many are bad, of how many, and the share that is allowed.

    `counts` are those of `catalogue`, `limits` those of the configuration.
    """
    malformed = sum(counts["malformed_rows"].values())
    return {
        "limits.max_damaged_fraction": (
            counts["images_damaged"],
            counts["images"],
            limits["max_damaged_fraction"],
        ),
        "limits.max_lost_samples_fraction": (
            counts["samples_without_folder"] + malformed,
            sum(counts["samples"].values()) + malformed,
            limits["max_lost_samples_fraction"],
        ),
    }


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the limits that do not hold."""
    return [
        name
        for name, (bad, met, allowed) in losses(counts, limits).items()
        if not met or bad > allowed * met
    ]


def require_intact(
    counts: dict,
    problems: Path,
    *,
    max_damaged_fraction: float,
    max_lost_samples_fraction: float,
) -> None:
    """Raise SkymillError, naming the first offenders, when the tree is too damaged to go on.

    Parameters
    ----------
    counts
        Those of `catalogue`.
    problems
        Its JSON lines.
    max_damaged_fraction
        Largest share of the images that may not decode, have another shape, or be black.
    max_lost_samples_fraction
        Largest share of the rows of the metadata that may be malformed or have no folder.
    """
    if regions := counts["regions_in_both_sets"]:
        raise SkymillError(
            f"{len(regions):,} active regions have samples in training and in test: "
            f"{', '.join(map(str, regions[:SHOWN]))}. The official sets share none, so the files "
            "are not the data set as published, and a test on them would mean nothing. Fetch it "
            "again."
        )
    limits = {
        "max_damaged_fraction": max_damaged_fraction,
        "max_lost_samples_fraction": max_lost_samples_fraction,
    }
    for setting in exceeded(counts, limits):
        what, kinds = _WHAT[setting]
        _refuse(what, *losses(counts, limits)[setting], setting, _first(problems, kinds), problems)


def _refuse(
    what: str,
    bad: int,
    met: int,
    allowed: float,
    setting: str,
    first: Iterator[dict],
    problems: Path,
) -> None:
    if not met:
        raise SkymillError(
            f"the data set is empty: 0 of 0 {what}. Look at {problems}, and put the whole data "
            "set in place."
        )
    shown = "".join(
        f"  {problem['kind']}: {problem['where']}: {problem['detail']}\n"
        for problem in islice(first, SHOWN)
    )
    raise SkymillError(
        f"{bad:,} of {met:,} {what} ({bad / met:.2%}, allowed {allowed:.2%}).\n{shown}"
        f"All problems stand in {problems}. Mend or fetch the data set again, or raise {setting} "
        "if that many are expected."
    )


def _first(problems: Path, kinds: tuple[str, ...]) -> Iterator[dict]:
    """Yield the problems of some kinds in file order."""
    with open(problems, encoding="utf-8") as stream:
        for line in stream:
            problem = json.loads(line)
            if problem["kind"] in kinds:
                yield problem
