"""The facts of a card, read from documents: no number is counted or written by hand."""

from dataclasses import dataclass

from skymill.cards.texts import Words, words_of
from skymill.engine.digests import document_digest
from skymill.engine.products import source_of, warnings_in
from skymill.paths import DATA_SETS, PAIRS, PLAN, SDO_PLAN, ZTF_STATISTICS

SAMPLE = "sample"


@dataclass(frozen=True)
class Split:
    """A split: its rows, also by class; if there are copies, also the originals by class."""

    name: str
    rows: int
    by_label: dict[str, int]
    originals_by_label: dict[str, int] | None = None

    @property
    def originals(self) -> dict[str, int]:
        """Originals by class: all rows if there are no copies."""
        return self.by_label if self.originals_by_label is None else self.originals_by_label


@dataclass(frozen=True)
class Facts:
    """Everything that the cards of a data set are written from.

    Attributes
    ----------
    name
        magnetic, sdo, aligned or ztf.
    source
        sample (simulated), local or archive.
    splits
        All splits in order, also splits without rows.
    files
        The files of the products in the folder of the set: name below the folder, bytes, sha256,
        rows. The files of a product with more than a thousand files are not listed.
    tables
        Columns of each table, see engine.tables.describe_columns.
    raw
        Name, bytes, sha256 and source of each raw file.
    settings
        The settings in force, by their dotted names.
    archives
        Title, page, licence and citation of each collection in config/sources.yaml.
    documents
        All documents by the name of the product; receipts of checks by their own names.
    """

    name: str
    source: str
    splits: tuple[Split, ...]
    files: tuple[dict, ...]
    tables: dict[str, list[dict]]
    raw: tuple[dict, ...]
    settings: dict
    archives: dict[str, dict]
    documents: dict[str, dict]

    @property
    def words(self) -> Words:
        """The texts of the card that are not counts."""
        return words_of(self.name, self.settings)

    @property
    def warnings(self) -> list[str]:
        """The warnings of the jobs that made the products: each text once, in order."""
        return warnings_in(self.documents)

    @property
    def is_simulated(self) -> bool:
        """Whether any raw file was simulated."""
        return self.source == SAMPLE

    @property
    def digest(self) -> str:
        """A digest of the files, which changes with any of their contents.

        The index of SDOBenchmark has paths, which differ between machines. The digest uses the
        index without them.
        """
        listed = {
            entry["name"]: entry.get("sha256_without_location", entry["sha256"])
            for entry in self.files
        }
        folders = {
            name: document["members"]["listing_sha256"]
            for name, document in self.documents.items()
            if "members" in document
        }
        return document_digest({**listed, **folders})

    @property
    def filled(self) -> tuple[Split, ...]:
        """The splits with rows, which loaders need; all splits if no split has rows."""
        return tuple(split for split in self.splits if split.rows) or self.splits

    def of_product(self, name: str) -> list[dict]:
        """Return the files of a product by its name below the folder."""
        return [
            entry
            for entry in self.files
            if entry["name"] == name or entry["name"].startswith(f"{name}/")
        ]

    def counts(self, name: str) -> dict:
        """Return the counts of a product or receipt by its path below the results folder."""
        return self.documents[name]["counts"]


def gather(
    name: str, products: list[dict], receipts: list[dict], raw: list[dict], settings: dict
) -> Facts:
    """Return the facts of a data set.

    Parameters
    ----------
    name
        One of DATA_SETS.
    products, receipts
        Documents of the set's products, and documents of its plans and checks.
    raw
        Documents that describe raw files.
    settings
        The `settings` in force, and the `archives` in config/sources.yaml.
    """
    documents = {document["product"]: document for document in [*products, *receipts]}
    folder = f"{DATA_SETS[name]}/"
    files = [
        {**entry, "name": entry["name"].removeprefix(folder)}
        for document in products
        for entry in (document["files"] if "members" not in document else ())
        if entry["name"].startswith(folder)
    ]
    tables = [document["tables"] for document in products if "tables" in document]
    return Facts(
        name=name,
        source=source_of(document["source"] for document in products),
        splits=SPLITS_OF[name](documents),
        files=tuple(sorted(files, key=lambda entry: entry["name"])),
        tables=tables[0],
        raw=tuple(
            sorted(
                (document["raw"] for document in raw if "raw" in document),
                key=lambda entry: entry["name"],
            )
        ),
        settings=settings["settings"],
        archives=settings["archives"],
        documents=documents,
    )


def _magnetic(documents: dict[str, dict]) -> tuple[Split, ...]:
    """Return the splits. Their rows are records, which have 60 rows each in the files."""
    planned = documents[PLAN]["counts"]["by_split"]
    splits = []
    for name in ("train", "dev", "test", "holdout_test"):
        if document := documents.get(f"{DATA_SETS['magnetic']}/{name}"):
            counts = document["counts"]
            originals = planned.get(name, {}).get("originals_by_label")
            splits.append(Split(name, counts["records"], counts["records_by_label"], originals))
    return tuple(splits)


def _sdo(documents: dict[str, dict]) -> tuple[Split, ...]:
    return _planned(documents[SDO_PLAN], "samples")


def _aligned(documents: dict[str, dict]) -> tuple[Split, ...]:
    """Return the splits that have files: excluded pairs have no file."""
    planned = _planned(documents[PAIRS], "pairs")
    return tuple(split for split in planned if split.name != "excluded")


def _ztf(documents: dict[str, dict]) -> tuple[Split, ...]:
    """Return the splits of all alerts; the plan counts only the labels of exported alerts."""
    return _planned(documents[ZTF_STATISTICS], "alerts")


def _planned(document: dict, rows: str) -> tuple[Split, ...]:
    """Return the splits that a plan counts, also splits without rows."""
    by_split = document["counts"]["by_split"]
    nothing = {rows: 0, "by_label": {}}
    names = ["train", "validation", "test", *(["excluded"] if "excluded" in by_split else [])]
    found = [(name, by_split.get(name, nothing)) for name in names]
    return tuple(Split(name, counts[rows], counts["by_label"]) for name, counts in found)


SPLITS_OF = {"magnetic": _magnetic, "sdo": _sdo, "aligned": _aligned, "ztf": _ztf}
