"""The plan of a catalogue of full size: simulated here, planned in a separate process."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from measure import (
    ONE_THREAD,
    PACKAGE,
    REPOSITORY,
    Section,
    at_most,
    markdown_table,
    on_cores,
)

logger = logging.getLogger(__name__)

PUBLISHED_TEST_RECORDS = 120_000
"""The test file has 6 GB at about 50 kB a line."""

RECORDS_PER_BLOCK = 320
"""Records in a file of ingested values."""

TRIVIAL_SHARE = 0.003
"""Steps with too few values to link windows."""


def measure_plan(folder: Path, *, records: int, test_records: int) -> Section:
    """Simulate a catalogue, plan it in a fresh process on one core, and report its CPU time."""
    folder.mkdir()
    regions = _write_catalogues(folder, records, test_records, seed=20)
    with on_cores(1):
        done = subprocess.run(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            check=True,
        )
    result = json.loads(done.stdout)
    if result["regions"] != regions:
        raise RuntimeError(f"{result['regions']:,} regions found, {regions:,} simulated")
    parts = result["cpu_seconds"]
    total = sum(parts.values())
    table = markdown_table(
        ["part", "CPU (s)", "share"],
        [[name, f"{cpu:.2f}", f"{cpu / total:.0%}"] for name, cpu in parts.items()],
    )
    return Section(
        "Plan at full size, one core",
        [
            f"{records:,} training records ({records * 60 / 1e6:.1f} million step hashes, "
            f"{regions:,} regions, all recovered) and {test_records:,} of the test file; "
            f"{result['planned']:,} records planned. Includes reading and writing of the tables.",
            "One process did all parts. In the workflow the parts are separate jobs, and each "
            "job stays below this peak RSS.",
        ],
        [
            at_most("plan, CPU time", total, 30, "s", records=records, **result),
            at_most("plan, peak RSS", result["peak_rss"] / 1e9, 1.5, "GB"),
        ],
        [table],
    )


def _write_catalogues(folder: Path, records: int, test_records: int, seed: int) -> int:
    """Write the output of ingest for a full archive. Return the number of training regions."""
    import numpy as np
    import pyarrow as pa

    from skymill.engine.randomness import key, keyed_hash
    from skymill.engine.tables import write_table
    from skymill.magnetic.catalogue import CATALOGUE_SCHEMA
    from skymill.magnetic.fingerprints import TRIVIAL
    from skymill.magnetic.schema import LABELS, PARTITIONS, STEPS, TEST_PARTITION
    from skymill.simulate.magnetic import layout

    plan = layout(records, test_records, seed)
    rng = np.random.default_rng(seed)
    region = np.searchsorted(plan.region_start, plan.window, side="right") - 1
    begin = (plan.window - plan.region_start[region]) * plan.stride[region].astype(np.int64)
    label = _published_labels(plan.label[plan.window], records)
    ends = np.cumsum([0, *plan.lines])
    # Ids as in the archive: partition 3 starts again after the length of partition 2.
    first_id = [1, plan.lines[0] + 1, plan.lines[1] + 1, 1]
    for index, partition in enumerate(PARTITIONS):
        lines = slice(ends[index], ends[index + 1])
        count = plan.lines[index]
        moment = region[lines, None] * 2**20 + begin[lines, None] + np.arange(STEPS)
        steps = keyed_hash(moment, key(seed, "step"))
        steps[rng.random(steps.shape) < TRIVIAL_SHARE] = TRIVIAL
        names = [None if partition == TEST_PARTITION else LABELS[code] for code in label[lines]]
        content = pa.py_buffer(rng.bytes(16 * count))
        columns = {
            "partition": [partition] * count,
            "line": np.arange(1, count + 1),
            "source_id": np.arange(count) + first_id[index],
            "label": names,
            "status": ["valid"] * count,
            "reason": [None] * count,
            "content": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, content]),
        }
        table = pa.Table.from_arrays(
            [pa.array(columns[field.name], type=field.type) for field in CATALOGUE_SCHEMA],
            schema=CATALOGUE_SCHEMA,
        )
        write_table(folder / f"catalogue_{partition}.parquet", table)
        _write_values(folder / partition, steps)
    return len(np.unique(region[: ends[3]]))


def _write_values(directory: Path, fingerprints) -> None:
    """Write values for fingerprints of shape (records, 60). All values are zero."""
    import numpy as np

    from skymill.engine.products import manifest_path, write_document
    from skymill.engine.tables import write_parquet
    from skymill.magnetic.catalogue import VALUES_SCHEMA
    from skymill.magnetic.store import step_table

    directory.mkdir()
    files = []
    for start in range(0, len(fingerprints), RECORDS_PER_BLOCK):
        block = fingerprints[start : start + RECORDS_PER_BLOCK]
        columns = dict.fromkeys(VALUES_SCHEMA.names, np.zeros(block.shape))
        columns["seq_id"] = columns["seq_id"].astype(np.int8)
        columns["fingerprint"] = block
        table = step_table(columns, VALUES_SCHEMA)
        path = directory / f"part-{start:06d}.parquet"
        entry = write_parquet(path, table, rows_per_group=table.num_rows)
        files.append({**entry, "name": f"{directory.name}/{path.name}"})
    write_document(manifest_path(directory), {"product": directory.name, "files": files})


def _published_labels(label, records: int):
    """Return label codes whose training part has the published counts, if it has that size."""
    import numpy as np

    from skymill.magnetic.schema import LABELS
    from skymill.simulate.magnetic import CLASS_COUNTS

    if records != sum(CLASS_COUNTS.values()):
        return label
    label = label.copy()
    training = label[:records]  # a view
    quiet = LABELS.index("Q")
    for code, name in enumerate(LABELS[:quiet]):
        missing = CLASS_COUNTS[name] - int((training == code).sum())
        # The simulator rounds to whole runs of windows, so the number is off by one at most.
        source, target = (quiet, code) if missing > 0 else (code, quiet)
        training[np.flatnonzero(training == source)[: abs(missing)]] = target
    return label


def _plan(folder: Path) -> dict:
    """Run the work of the rules from assign_ids to check_leaks, part by part."""
    spent: dict[str, float] = {}

    @contextlib.contextmanager
    def part(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        spent[name] = time.process_time() - start

    with part("imports"):
        import pyarrow.parquet as pq
        import yaml

        from skymill.engine.products import Product
        from skymill.engine.tables import write_table
        from skymill.magnetic.ids import assign_ids, read_ids, steps_of_records
        from skymill.magnetic.leaks import find_leaks, find_overlap, require_no_leak
        from skymill.magnetic.plan import make_plan
        from skymill.magnetic.plan_table import read_plan
        from skymill.magnetic.regions import describe_regions, find_regions, regions_table
        from skymill.magnetic.schema import TEST_PARTITION, TRAIN_PARTITIONS

    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    ids_path = {name: folder / f"ids_{name}.parquet" for name in ("train", "test")}
    plan_path = folder / "plan.parquet"
    train_stores = {name: Product(folder / name) for name in TRAIN_PARTITIONS}
    test_stores = {TEST_PARTITION: Product(folder / TEST_PARTITION)}
    with part("assign ids"):
        for collection, members in (("train", TRAIN_PARTITIONS), ("test", [TEST_PARTITION])):
            catalogues = [pq.read_table(folder / f"catalogue_{name}.parquet") for name in members]
            ids, _ = assign_ids(catalogues, collisions=config["collisions"])
            write_table(ids_path[collection], ids)
        del catalogues, ids
    with part("find regions"):
        train = read_ids(ids_path["train"])
        record_id = train["record_id"].to_numpy()
        region = find_regions(record_id, steps_of_records(train, train_stores))
        sizes = describe_regions(region)
        write_table(folder / "regions.parquet", regions_table(record_id, region))
    with part("make plan"):
        train["region"] = region
        table, _ = make_plan(train, config["split"], config["augmentation"], config["seed"])
        write_table(plan_path, table)
    with part("find leaks"):
        plan = read_plan(plan_path)
        leaks = find_leaks(plan, train.set_index("record_id")["content"])
        require_no_leak(leaks, config["split"]["unit"])
    with part("find overlap with the test file"):
        test = read_ids(ids_path["test"])
        find_overlap(
            plan[plan["method"] == "original"].set_index("record_id")["split"],
            record_id,
            steps_of_records(train, train_stores),
            steps_of_records(test, test_stores),
        )
    return {
        "cpu_seconds": spent,
        "peak_rss": peak_rss(),
        "regions": sizes["regions"],
        "planned": table.num_rows,
    }


def peak_rss() -> int:
    """Return the peak RSS of this process in bytes, as the kernel keeps it.

    Not getrusage: its figure survives exec, so a large parent would count too.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status does not contain the peak RSS")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_plan(Path(sys.argv[1]))))
