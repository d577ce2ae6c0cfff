"""The cost of checksums of Parquet pages, in stages that mainly read and write."""

import functools
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
"""Largest cost in percent of the CPU time of a stage."""


def measure_checksums(folder: Path, raw: Path, *, runs: int) -> Section:
    """Measure ingest and the clean records with and without checksums, alternately, on one core.

    Files without checksums are read without a comparison. The third way leaves out only the
    checksums of the clean records: `magnetic.page_checksums: false`.
    """
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

    def cleaned(read: bool, written: bool) -> None:
        partition = {"train_partition1_data": RecordStore(stores[read])}
        output = folder / "clean"
        write_clean(folder / "ids.parquet", partition, output, page_checksums=written, workers=1)

    def prepare() -> None:
        catalogue = tables.read_table(folder / "catalogue.parquet")
        ids, _ = assign_ids([catalogue], collisions="drop_identical")
        tables.write_table(folder / "ids.parquet", ids)

    ingests = {
        "with": lambda: ingested(True),
        "without": lambda: _without_checksums(lambda: ingested(False)),
    }
    rows = _measure("ingest", ingests, runs)
    prepare()
    rows += _measure(
        "clean records",
        {
            "with": lambda: cleaned(True, True),
            "read only": lambda: cleaned(True, False),
            "without": lambda: cleaned(False, False),
        },
        runs,
    )
    return Section(
        "Checksums of Parquet pages, one core",
        [
            f"{raw.stat().st_size / 1e6:.0f} MB of raw JSON; CPU time, best of {runs} runs each. "
            "`read only` is `magnetic.page_checksums: false`: checksums of the values are "
            "compared, the clean records have no checksums."
        ],
        rows,
    )


def _without_checksums(stage: Callable[[], object]) -> None:
    none = functools.partial(tables.parquet_settings, page_checksums=False)
    with mock.patch.object(tables, "parquet_settings", lambda schema, **_: none(schema)):
        stage()


def _measure(name: str, ways: dict[str, Callable[[], object]], runs: int) -> list[Row]:
    """Measure a stage in all ways alternately. Return a row for each way with checksums."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, stage in ways.items():
            times[way].append(_seconds_of_cpu(stage))
    return [_row(name, way, times) for way in ways if way != "without"]


def _seconds_of_cpu(stage: Callable[[], object]) -> float:
    gc.collect()
    with on_cores(1):
        start = time.process_time()
        stage()
        return time.process_time() - start


def _row(name: str, way: str, times: dict[str, list[float]]) -> Row:
    cost = {
        what: 100 * (of(times[way]) / of(times["without"]) - 1)
        for what, of in {"best": min, "median": median}.items()
    }
    return Row(
        f"{name}: checksums, {way}, against no checksums",
        f"{cost['best']:+.1f} % ({cost['median']:+.1f} % by medians)",
        f"<= {CLAIM} %",
        cost["best"] <= CLAIM,
        {key: times[key] for key in (way, "without")},
    )
