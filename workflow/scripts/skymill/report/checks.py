"""All checks of a run with their numbers and limits, from the receipts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from skymill import paths
from skymill.engine.products import MANIFEST, RECEIPT
from skymill.engine.words import counted, size_text
from skymill.sdo import check as sdo
from skymill.ztf import check as ztf

HEADER = ["check", "file, night or set", "number", "limit"]


@dataclass(frozen=True)
class Number:
    """One number of a check.

    Attributes
    ----------
    check
        The name of the check.
    where
        The file, night or set.
    bad, of
        The number that was counted, and the total. `of` is None if only the number matters.
    limit
        The largest share that is allowed, or the smallest one (`is_least`); None without a limit.
    setting
        The name of the limit, or the reason why there is no limit. It is empty if the number must
        be 0.
    is_least
        Whether the limit is the smallest share that is allowed.
    """

    check: str
    where: str
    bad: int
    of: int | None
    limit: float | None = None
    setting: str = ""
    is_least: bool = False

    @property
    def share(self) -> float:
        """The share that is compared with the limit."""
        return self.bad / self.of if self.of else 0.0


def check_rows(documents: Iterable[Mapping], settings: Mapping) -> list[list[str]]:
    """Return a row for each check, with the file, night or set that is nearest to the limit.

    Parameters
    ----------
    documents
        Receipts, and the manifests of products.
    settings
        `limits` and `split_unit` of the configuration.
    """
    documents = list(documents)
    rows = []
    for pattern, read in READERS.items():
        found = [one for one in documents if is_of(one["product"], pattern)]
        numbers: dict[tuple, list[Number]] = {}
        for document in found:
            for number in read(document, settings):
                numbers.setdefault((number.check, number.setting), []).append(number)
        rows += [_row(of_check) for of_check in numbers.values()]
    return rows + _raw(documents)


def is_of(product: str, pattern: str) -> bool:
    """Return whether the name of a product matches a pattern of paths.py."""
    beginning, _, end = pattern.removesuffix(MANIFEST).partition("{")
    if not end:
        return product == beginning
    return product.startswith(beginning) and product.endswith(end.partition("}")[2])


def _row(numbers: list[Number]) -> list[str]:
    first = numbers[0]
    nearest = min if first.is_least else max
    shown = nearest(numbers, key=lambda number: number.share)
    many = len(numbers) > 1
    number = f"{shown.bad:,}"
    if shown.of is not None:
        number += f" of {shown.of:,} ({shown.share:.2%})"
    where = f"{shown.where} (of {len(numbers):,})" if many else shown.where
    limit = f"no limit: {first.setting}" if first.setting else "must be 0"
    if first.limit is not None:
        limit = f"{'at least' if first.is_least else 'at most'} {first.limit:.2%}"
        limit += f" ({first.setting})"
    return [first.check, where, number, limit]


def _raw(documents: list[Mapping]) -> list[list[str]]:
    raw = [one["raw"] for one in documents if "raw" in one]
    if not raw:
        return []
    size = size_text(sum(one["bytes"] for one in raw))
    return [["checksums of raw files", counted(len(raw), "file"), size, "SHA-256 is recorded"]]


def _lines(document: Mapping, settings: Mapping) -> list[Number]:
    counts = document["counts"]
    limit = settings["limits"]["max_rejected_fraction"]
    of = counts["valid"] + counts["rejected"]
    return [
        Number(
            "magnetic records rejected",
            _stem(document),
            counts["rejected"],
            of,
            limit,
            "limits.max_rejected_fraction",
        )
    ]


def _conservation(document: Mapping, settings: Mapping) -> list[Number]:
    counts = document["counts"]
    lost = counts["lines"] - counts["valid"] - counts["rejected"] - counts["blank"]
    where = _stem(document).removeprefix("conservation_")
    return [
        Number("magnetic lines not accounted for", where, lost, counts["lines"]),
        Number(
            "magnetic records dropped as identical",
            where,
            counts["dropped_identical"],
            counts["valid"],
            settings["limits"]["max_dropped_fraction"],
            "limits.max_dropped_fraction",
        ),
    ]


def _regions(document: Mapping, settings: Mapping) -> list[Number]:
    counts = document["counts"]
    is_limited = settings["split_unit"] == "region"
    limit = settings["limits"]["max_region_fraction"] if is_limited else None
    setting = "limits.max_region_fraction" if is_limited else "split.unit is not region"
    return [
        Number(
            "records of the largest region",
            f"region {counts['largest_region']}",
            counts["largest"],
            counts["records"],
            limit,
            setting,
        )
    ]


def _leaks(document: Mapping, settings: Mapping) -> list[Number]:
    refused = settings["split_unit"] == "region"
    return [
        Number(
            f"magnetic records whose {name.replace('_', ' ')} are in several splits",
            "all splits",
            leak["records"],
            None,
            setting="" if refused else "split.unit is not region",
        )
        for name, leak in document["leaks"].items()
    ]


def _sdo(document: Mapping, settings: Mapping) -> list[Number]:
    counts, limits = document["counts"], settings["limits"]
    lost = [
        Number(
            f"SDOBenchmark: {loss.what}",
            "both sets",
            loss.bad,
            loss.total,
            loss.allowed,
            loss.setting,
        )
        for loss in sdo.losses(counts, limits)
    ]
    filled = [
        Number(
            "SDOBenchmark: slots with a good image",
            gap.where,
            gap.filled,
            gap.slots,
            gap.least,
            gap.setting,
            is_least=True,
        )
        for gap in sdo.gaps(counts, limits)
    ]
    regions = counts["regions_in_both_sets"]
    both = Number(
        "SDOBenchmark: active regions in both official sets",
        "both sets",
        len(regions),
        sum(counts["samples"].values()),
    )
    return [*lost, *filled, both]


def _swan(document: Mapping, settings: Mapping) -> list[Number]:
    counts, limits = document["counts"], settings["limits"]
    where = PurePosixPath(document["product"]).parent.name
    return [
        Number(
            "SWAN-SF: windows rejected",
            where,
            counts["rejected"],
            counts["windows"],
            limits["max_rejected_windows_fraction"],
            "limits.max_rejected_windows_fraction",
        ),
        Number(
            "SWAN-SF: steps that differ between windows",
            where,
            counts["differing_steps"],
            counts["steps"],
            limits["max_differing_steps_fraction"],
            "limits.max_differing_steps_fraction",
        ),
    ]


def _pairs(document: Mapping, settings: Mapping) -> list[Number]:
    counts = document["counts"]
    lost = counts["samples"] - counts["pairs"] - counts["without_partner"]
    groups = sum(part["groups"] for part in counts["by_split"].values())
    return [
        Number("aligned samples not accounted for", "all samples", lost, counts["samples"]),
        Number(
            "groups of regions in two aligned splits",
            "all pairs",
            len(counts["groups_in_two_splits"]),
            groups,
        ),
    ]


def _stealth(document: Mapping, settings: Mapping) -> list[Number]:
    counts = document["ingested"]
    return [
        Number(
            "stealth rows rejected",
            "data.csv",
            counts["rejected"],
            counts["valid"] + counts["rejected"],
            settings["limits"]["max_rejected_fraction"],
            "limits.max_rejected_fraction",
        )
    ]


def _labels(document: Mapping, settings: Mapping) -> list[Number]:
    counts, limits = document["counts"], settings["limits"]
    return [
        Number(
            "ZTF labels: rows rejected",
            "the list",
            counts["rejected"],
            counts["rows"],
            limits["max_rejected_labels_fraction"],
            "limits.max_rejected_labels_fraction",
        ),
        Number(
            "ZTF labels: objects left out because of several classes",
            "the list",
            counts["undecided_objects"],
            counts["objects"],
            limits["max_conflicting_labels_fraction"],
            "limits.max_conflicting_labels_fraction",
        ),
    ]


def _night(document: Mapping, settings: Mapping) -> list[Number]:
    return [
        Number(
            f"ZTF: {loss.what}",
            f"night {document['night']}",
            loss.lost,
            loss.of,
            settings["limits"][loss.limit],
            f"limits.{loss.limit}",
        )
        for loss in ztf.losses(document["counts"])
    ]


def _tree(document: Mapping, settings: Mapping) -> list[Number]:
    """Return nothing: the check of the catalogue compares the tree with the limits."""
    return []


def _stem(document: Mapping) -> str:
    return PurePosixPath(document["product"]).name.removesuffix(RECEIPT)


READERS: dict[str, Callable[[Mapping, Mapping], list[Number]]] = {
    paths.ACCEPTED: _lines,
    paths.CONSERVATION: _conservation,
    paths.REGIONS_ACCEPTED: _regions,
    paths.LEAKS: _leaks,
    paths.SDO_RECEIPT: _tree,
    paths.SDO_ACCEPTED: _sdo,
    paths.SWAN_ACCEPTED: _swan,
    paths.PAIRS_ACCEPTED: _pairs,
    paths.STEALTH_TABLE: _stealth,
    paths.ZTF_LABELS_ACCEPTED: _labels,
    paths.ZTF_ACCEPTED: _night,
}
"""Functions that read the numbers of a check from its document, by the pattern of its name.

`_raw` reads the documents of raw files.
"""
