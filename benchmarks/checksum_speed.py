"""What the checksums of Parquet pages cost, in the stages that do little but read and write."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

from measure import Row, Section, on_cores

from skymill.engine import tables
from skymill.engine.products import Product, manifest_path, write_document
from skymill.magnetic.catalogue import ingest
from skymill.magnetic.ids import assign_ids
from skymill.magnetic.store import RecordStore
from skymill.magnetic.write import write_clean

CLAIM = 3
"""Percent of the CPU time of a stage, at most."""


def measure_checksums(folder: Path, raw: Path, *, runs: int) -> Section:
    """Measure ingest and the clean records with and without checksums, in turn, on one core.

    Files without checksums are read without a comparison.
    """
    with_checksums = {True: tables.parquet_settings, False: _without_checksums}
    stores = {}

    def ingested(checksums: bool) -> dict:
        values = folder / f"values_{checksums}"
        content = ingest(
            raw,
            "train_partition1_data",
            labelled=True,
            values=values,
            catalogue=folder / "catalogue.parquet",
            quarantine=folder / "quarantine.jsonl",
            workers=1,
        )
        files = [entry for entry in content["files"] if (values / entry["name"]).is_file()]
        entries = [{**entry, "name": f"{values.name}/{entry['name']}"} for entry in files]
        described = {"product": values.name, "files": entries, "counts": {}, "source": "sample"}
        write_document(manifest_path(values), described)
        stores[checksums] = Product(values)

    def cleaned(checksums: bool) -> None:
        partition = {"train_partition1_data": RecordStore(stores[checksums])}
        write_clean(folder / "ids.parquet", partition, folder / "clean", workers=1)

    rows = []
    for name, stage in {"ingest": ingested, "clean records": cleaned}.items():
        if stage is cleaned:
            catalogue = tables.read_table(folder / "catalogue.parquet")
            ids, _ = assign_ids([catalogue], collisions="drop_identical")
            tables.write_table(folder / "ids.parquet", ids)
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(runs):
            for checksums, settings in with_checksums.items():
                with mock.patch.object(tables, "parquet_settings", settings):
                    times[checksums].append(_seconds_of_cpu(stage, checksums))
        rows.append(_row(name, times))
    return Section(
        "Checksums of Parquet pages, one core",
        [f"{raw.stat().st_size / 1e6:.0f} MB of raw JSON; CPU time, the best of {runs} runs each"],
        rows,
    )


_with_checksums = tables.parquet_settings


def _without_checksums(schema) -> dict:
    return {**_with_checksums(schema), "write_page_checksum": False}


def _seconds_of_cpu(stage: Callable[[bool], object], checksums: bool) -> float:
    gc.collect()
    with on_cores(1):
        start = time.process_time()
        stage(checksums)
        return time.process_time() - start


def _row(name: str, times: dict[bool, list[float]]) -> Row:
    cost = {
        what: 100 * (of(times[True]) / of(times[False]) - 1)
        for what, of in {"best": min, "median": median}.items()
    }
    return Row(
        f"{name}: with checksums against without",
        f"{cost['best']:+.1f} % ({cost['median']:+.1f} % by medians)",
        f"<= {CLAIM} %",
        cost["best"] <= CLAIM,
        {"with": times[True], "without": times[False]},
    )
