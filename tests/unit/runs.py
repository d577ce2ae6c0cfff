"""The magnetic branch on small hand-made raw files, stage by stage, without Snakemake."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from records import (
    ABSENT,
    Ingested,
    described,
    document,
    physical_values,
    record,
    windows,
    write_raw,
)

from skymill.engine.products import Product, write_document
from skymill.engine.tables import write_table
from skymill.magnetic.augment import write_augmented
from skymill.magnetic.features import records_of_split, write_features
from skymill.magnetic.ids import assign_ids, read_ids, steps_of_records
from skymill.magnetic.leaks import STATEMENTS, find_leaks, find_overlap
from skymill.magnetic.plan import make_plan
from skymill.magnetic.plan_table import read_plan
from skymill.magnetic.records import missing_shares, records_table
from skymill.magnetic.regions import describe_regions, find_regions, regions_table
from skymill.magnetic.schema import (
    INDEX,
    LABELS,
    PARTITIONS,
    SPLITS,
    TEST_PARTITION,
    TRAIN_PARTITIONS,
    TRAIN_SPLITS,
)
from skymill.magnetic.store import RecordStore
from skymill.magnetic.write import write_clean

REGIONS_PER_CLASS = 4
WINDOWS_PER_REGION = 3


def small_raw_files() -> dict[str, list[bytes]]:
    """Return lines of the four raw files: 4 regions of 3 windows per class, and some bad lines."""
    lines = {name: [] for name in PARTITIONS}
    next_id = {"train_partition1_data": 1, "train_partition2_data": 100}
    next_id["train_partition3_data"] = 110  # partition 3 repeats ids of partition 2
    for number in range(REGIONS_PER_CLASS * len(LABELS)):
        partition = TRAIN_PARTITIONS[number % 3]
        for values in windows(number, WINDOWS_PER_REGION):
            label = LABELS[number // REGIONS_PER_CLASS]
            lines[partition].append(record(next_id[partition], label, values))
            next_id[partition] += 1
    # Ids do not ascend with the lines, so that positions and ids are in different orders.
    lines["train_partition2_data"].reverse()
    short = document(900, "M")
    del short["900"]["values"]["MEANALP"]["59"]
    dark = physical_values(7)
    dark[INDEX["USFLUX"]] = 0.0
    lines["train_partition1_data"].insert(3, json.dumps(short).encode())
    lines["train_partition1_data"].append(b"")
    lines["train_partition2_data"].append(b'{"901": {"label": "Q", "val')
    lines["train_partition3_data"].insert(0, record(902, "B", dark))
    lines[TEST_PARTITION] = [
        record(1, ABSENT, physical_values(500)),
        record(2, None, windows(0, 3)[1]),  # also a training record
        record(3, ABSENT, physical_values(501)),
        record(3, ABSENT, physical_values(502)),
        record(4, None, dark),
    ]
    return lines


def records_of(stores: dict[str, Product]) -> dict[str, RecordStore]:
    """Return a reader for the records of each store."""
    return {name: RecordStore(store) for name, store in stores.items()}


class Run:
    """Products of one run, as attributes: paths, and the results of the functions."""

    def __init__(self, folder: Path, config: dict):
        self.folder, self.config = folder, config
        self.products: dict[Path, Product] = {}
        self.everything = config["split"]["augment"] == "all"
        self.raw = small_raw_files()
        self.ingested = {
            name: Ingested(
                write_raw(folder / f"{name}.json", lines),
                folder,
                labelled=name in TRAIN_PARTITIONS,
            )
            for name, lines in self.raw.items()
        }
        self.ids, self.clean = {}, {}
        for collection, partitions in (("train", TRAIN_PARTITIONS), ("test", (TEST_PARTITION,))):
            self._collect(collection, partitions)
        self._plan()
        self._augment()
        for split in SPLITS:
            self._features(split)
        self._records()

    def manifest(self, product: Path) -> Path:
        """Return the manifest of a product."""
        return Path(f"{product}.manifest.json")

    def features(self, split: str) -> Path:
        """Return the directory of a split."""
        return self.folder / "processed" / split

    def read(self, product: Path) -> pa.Table:
        """Return the rows of a directory, in manifest order."""
        return pa.concat_tables(map(pq.read_table, self.products[product].files()))

    def _write_manifest(self, product: Path, files: list, counts: dict) -> None:
        self.products[product] = described(product, files, counts=counts)

    def _collect(self, collection: str, partitions) -> None:
        ids, counts = assign_ids(
            [self.ingested[name].catalogue for name in partitions],
            collisions=self.config["collisions"],
        )
        path = self.ids[collection] = self.folder / f"ids_{collection}.parquet"
        self._write_manifest(path, [write_table(path, ids)], counts)
        stores = self._stores(partitions)
        clean = self.clean[collection] = self.folder / collection
        self._write_manifest(clean, write_clean(path, records_of(stores), clean), {})

    def _stores(self, partitions) -> dict[str, Product]:
        return {name: self.ingested[name].store for name in partitions}

    def _plan(self) -> None:
        originals = read_ids(self.ids["train"])
        steps = steps_of_records(originals, self._stores(TRAIN_PARTITIONS))
        record_id = originals["record_id"].to_numpy()
        region = find_regions(record_id, steps)
        self.regions = self.folder / "regions.parquet"
        table = regions_table(record_id, region)
        file = write_table(self.regions, table)
        self._write_manifest(self.regions, [file], describe_regions(region))
        originals["region"] = region
        self.plan = self.folder / "plan.parquet"
        plan, counts = make_plan(
            originals, self.config["split"], self.config["augmentation"], self.config["seed"]
        )
        self._write_manifest(self.plan, [write_table(self.plan, plan)], counts)
        self.planned = read_plan(self.plan)
        self.plan_counts = counts
        self.leaks = self.folder / "leaks.receipt.json"
        test_steps = steps_of_records(read_ids(self.ids["test"]), self._stores([TEST_PARTITION]))
        write_document(
            self.leaks,
            {
                "product": self.leaks.name,
                **STATEMENTS["cup2020"],
                "leaks": find_leaks(self.planned, originals.set_index("record_id")["content"]),
                "overlap_with_test_file": find_overlap(
                    self.planned[self.planned["method"] == "original"].set_index("record_id")[
                        "split"
                    ],
                    record_id,
                    steps,
                    test_steps,
                ),
            },
        )

    def _augment(self) -> None:
        self.augmented = self.folder / "train_augmented"
        files, counts = write_augmented(
            self.plan,
            self.ids["train"],
            self.products[self.clean["train"]],
            self.augmented,
            seed=self.config["seed"],
            everything=self.everything,
        )
        self._write_manifest(self.augmented, files, counts)

    def _features(self, split: str) -> None:
        if split in TRAIN_SPLITS:
            held = split == "train" or self.everything
            store = self.augmented if held else self.clean["train"]
            records = records_of_split(
                split, self.ids["train"], self.plan, everything=self.everything
            )
            expected = self.plan_counts["by_split"][split]["by_label"]
        else:
            store = self.clean["test"]
            records = records_of_split(split, self.ids["test"], None, everything=False)
            expected = {"unknown": len(records[0])}
        files, never_measured = write_features(
            self.products[store],
            *records,
            self.config["features"],
            self.features(split),
            expected=expected,
        )
        counts = {
            "records": len(records[0]),
            "records_by_label": expected,
            "records_never_measured": never_measured,
        }
        self._write_manifest(self.features(split), files, counts)

    def _records(self) -> None:
        self.missing = {
            name: missing_shares(self.products[store]) for name, store in self.clean.items()
        }
        self.records = records_table(
            self.planned,
            read_ids(self.ids["train"]),
            self.missing["train"],
            read_ids(self.ids["test"]),
            self.missing["test"],
        )
