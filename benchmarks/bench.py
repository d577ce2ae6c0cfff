"""Measure the speed claims, in comparison with simple reference programs.

    python benchmarks/bench.py [--records N] [--quick] [--only ingest plan ...]

A claim that falls short is marked in the table, and does not fail the run.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import ONE_THREAD, PACKAGE, Section

logger = logging.getLogger("benchmarks")

RESULTS = Path(__file__).resolve().parent / "results"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--records",
        type=int,
        default=6000,
        help="records of the file for the figures of one core (about 47 kB each)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny inputs: shows that it runs, proves nothing"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--scratch", type=Path, help="folder of the inputs (about 10 GB)")
    return parser.parse_args()


def ingest_one_core(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Ingest against pandas and orjson."""
    import ingest_speed

    raw = ingest_speed.simulate(scratch, options.records, seed=20)
    yield ingest_speed.measure_one_core(
        scratch, raw, reference_records=60 if options.quick else 600
    )


def ingest_two_cores(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Ingest with two workers."""
    import ingest_speed

    # Worker processes take a second to start, so the file is as large as a real file, over 4 GB.
    full = ingest_speed.PARTITION_SHARES[1]
    records = options.records if options.quick else full
    raw = ingest_speed.simulate(scratch, records, seed=21)
    yield ingest_speed.measure_two_cores(scratch, raw)


def materialise(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Augmentation and features against pandas."""
    import ingest_speed
    import materialise_speed

    records = min(options.records, 4096)
    raw = ingest_speed.simulate(scratch, records, seed=22)
    ingest_speed.ingest_job(raw, scratch / "ingested", 1)()
    values = materialise_speed.read_values(scratch / "ingested" / "values", records)
    few = 40 if options.quick else 400
    yield materialise_speed.measure_augmentation(values, reference_records=few)
    yield materialise_speed.measure_features(values, reference_records=few)


def checksums(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Checksums of Parquet pages."""
    import checksum_speed
    import ingest_speed

    raw = ingest_speed.simulate(scratch, options.records, seed=24)
    runs = 2 if options.quick else 20
    yield checksum_speed.measure_checksums(scratch, raw, runs=runs)


def plan(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """The plan of a full catalogue."""
    import plan_at_scale

    from skymill.simulate.magnetic import CLASS_COUNTS

    full = sum(CLASS_COUNTS.values()), plan_at_scale.PUBLISHED_TEST_RECORDS
    records, test_records = (20_000, 10_000) if options.quick else full
    yield plan_at_scale.measure_plan(scratch / "plan", records=records, test_records=test_records)


def workflow(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """The whole branch, small and large."""
    import ingest_speed
    import workflow_run

    probe = ingest_speed.simulate(scratch, 400, seed=23)
    bytes_per_record = probe.stat().st_size / 400
    for raw_bytes in (2e6, 3e7) if options.quick else (0.2e9, 2e9):
        with tempfile.TemporaryDirectory(dir=scratch, prefix="workflow-") as folder:
            yield workflow_run.measure_workflow(
                Path(folder), raw_bytes=raw_bytes, bytes_per_record=bytes_per_record
            )


def download(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Downloads against curl."""
    import download_speed

    yield download_speed.measure_download(scratch, size=2**24 if options.quick else 10**9)


def images(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Image checks against decoding."""
    import image_speed

    yield image_speed.measure_images(scratch, samples=100 if options.quick else 700)


def sdo(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """The SDOBenchmark branch at full size."""
    import workflow_run

    training, test = (60, 20) if options.quick else (8336, 886)
    yield workflow_run.measure_sdo(scratch, training_samples=training, test_samples=test)


def export(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Export of stamps against Arrow's CSV writer."""
    import export_speed

    yield export_speed.measure_export(scratch, alerts=400 if options.quick else 12_000)


def alerts(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """ZTF alerts against fastavro, gzip and astropy."""
    import alert_speed

    yield from alert_speed.measure_alerts(scratch, quick=options.quick)


def swan_sf(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """The catalogue of SWAN-SF against gunzip, a joined parse, and pandas."""
    import swan_sf_speed

    # A tenth of the five partitions.
    windows, few = (400, 100) if options.quick else (33_000, 2_000)
    yield swan_sf_speed.measure_swan_sf(scratch, windows=windows, reference_windows=few)


def windows(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """SWAN-SF as records compared with the files of 2020, and at full size."""
    import windows_speed

    yield windows_speed.measure_per_window(scratch, records=options.records)
    yield windows_speed.measure_full_size(scratch / "full", share=0.01 if options.quick else 1)


def nights(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """The DAG of thousands of ZTF nights."""
    import nights_at_scale

    yield nights_at_scale.measure_nights(scratch, nights=20 if options.quick else 2500)


def aligned(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Records located and samples joined at full size."""
    import aligned_at_scale

    records, share = (5000, 0.02) if options.quick else (aligned_at_scale.RECORDS, 1)
    yield aligned_at_scale.measure_aligned(scratch / "aligned", records=records, share=share)


PARTS: dict[str, Callable[[Path, argparse.Namespace], Iterator[Section]]] = {
    "ingest": ingest_one_core,
    "scaling": ingest_two_cores,
    "materialise": materialise,
    "checksums": checksums,
    "plan": plan,
    "workflow": workflow,
    "download": download,
    "alerts": alerts,
    "images": images,
    "sdo": sdo,
    "export": export,
    "swan_sf": swan_sf,
    "windows": windows,
    "nights": nights,
    "aligned": aligned,
}


def main() -> None:
    """Measure the parts one after the other and write the report."""
    options = arguments()
    if options.quick:
        options.records = min(options.records, 700)
    # Set before NumPy and Arrow are imported. So the parts import their modules inside functions.
    os.environ.update(ONE_THREAD)
    sys.path.insert(0, str(PACKAGE))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("skymill").setLevel(logging.WARNING)
    import pyarrow as pa
    import report

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    sections = []
    for name in options.only:
        logger.info("measuring: %s", name)
        with tempfile.TemporaryDirectory(dir=options.scratch, prefix="skymill-bench-") as folder:
            sections += PARTS[name](Path(folder), options)
    title = "Benchmarks" + (" (--quick: proves nothing)" if options.quick else "")
    name = "skymill" + ("-quick" if options.quick else "")
    # A partial run does not replace the whole report.
    name += "" if set(options.only) == set(PARTS) else "-" + "-".join(options.only)
    sys.stdout.write(report.write(RESULTS, name, title, sections))
    logger.info("written to %s", RESULTS / f"{name}.md")


if __name__ == "__main__":
    main()
