"""SWAN-SF as records: time per window compared with the files of 2020, memory at full size."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from measure import (
    ONE_THREAD,
    PACKAGE,
    Row,
    Section,
    at_least,
    at_most,
    interleaved,
    on_cores,
    seconds,
)

WINDOWS = (73_492, 88_557, 42_510, 51_261, 75_365)
"""Windows of the five partitions."""

HOURS_OF_HARP = 100
"""Hourly windows of a simulated HARP."""


def measure_per_window(folder: Path, *, records: int) -> Section:
    """Measure the way from a raw file to clean records on one core, for each input.

    `records` is the number of records of the file of 2020, and about the number of windows.
    """
    import ingest_speed
    import pyarrow.parquet as pq
    import swan_sf_speed

    from skymill.engine.products import Product, manifest_path, write_document
    from skymill.engine.tables import write_table
    from skymill.magnetic.ids import assign_ids
    from skymill.magnetic.inputs import CUP, SWAN
    from skymill.magnetic.store import RecordStore
    from skymill.magnetic.windows import WindowStore, ingest_windows
    from skymill.magnetic.write import write_clean
    from skymill.swan_sf.catalogue import catalogue

    json_lines = ingest_speed.simulate(folder, records, seed=24)
    tarball = swan_sf_speed.simulate(folder, records)
    partition = swan_sf_speed.PARTITION
    counted = {}

    def clean(name: str, table: Path, store, parameters) -> None:
        ids, counts = assign_ids([pq.read_table(table)], collisions="renumber")
        counted[name] = counts["kept"]
        path = folder / f"ids_{name}.parquet"
        write_table(path, ids)
        names = {"cup2020": ingest_speed.PARTITION, "swan_sf": partition}
        write_clean(path, {names[name]: store}, folder / f"clean_{name}", parameters=parameters)

    def cup() -> None:
        own = folder / "cup"
        content = ingest_speed.ingest_job(json_lines, own, 1)()
        values = own / "values"
        files = [{**file, "name": f"values/{file['name']}"} for file in content["files"]]
        write_document(manifest_path(values), {"product": "values", "files": files})
        clean("cup2020", own / "catalogue.parquet", RecordStore(Product(values)), CUP.parameters)

    own_of_swan = folder / "swan"
    own_of_swan.mkdir()

    def catalogued() -> None:
        catalogue(
            tarball,
            partition,
            steps=own_of_swan / "steps.parquet",
            windows=own_of_swan / "windows.parquet",
            quarantine=own_of_swan / "quarantine.jsonl",
        )

    def swan() -> None:
        own = own_of_swan
        steps, windows = own / "steps.parquet", own / "windows.parquet"
        table = own / "catalogue.parquet"
        ingest_windows(
            steps,
            windows,
            partition,
            catalogue=table,
            fingerprints=own / "fingerprints.parquet",
            quarantine=own / "rejected.jsonl",
        )
        clean("swan_sf", table, WindowStore(table, steps), SWAN.parameters)

    contenders = {"cup2020": cup, "catalogue": catalogued, "swan_sf": swan}
    timings = interleaved(contenders, {name: 3 for name in contenders})
    counted["catalogue"] = counted["swan_sf"]
    cost = {name: 1e6 * timings[name].best / counted[name] for name in contenders}
    return Section(
        "Clean records, one core",
        [
            f"{counted['cup2020']:,} records of a file of 2020 (33 parameters), and "
            f"{counted['swan_sf']:,} windows of a partition of SWAN-SF (24), with ids and "
            "written as clean records: from the raw file of 2020, and from the catalogue "
            "of SWAN-SF. The catalogue is listed separately: it inflates a tarball and parses its "
            "text, and the aligned branch needs it too.",
        ],
        [
            Row("a record of 2020", f"{cost['cup2020']:.0f} µs", figures={"cost_us": cost}),
            Row("a window of SWAN-SF, from the catalogue", f"{cost['swan_sf']:.0f} µs"),
            Row("a window of SWAN-SF, its part of the catalogue", f"{cost['catalogue']:.0f} µs"),
            at_least(
                "SWAN-SF from its catalogue against the files of 2020, per record",
                cost["cup2020"] / cost["swan_sf"],
                1,
                records=counted,
                seconds=seconds(timings),
            ),
        ],
    )


def measure_full_size(folder: Path, *, share: float) -> Section:
    """Measure time and memory of every stage after the catalogue, at a share of the full size."""
    folder.mkdir()
    simulate(folder, share)
    with on_cores(1):
        done = subprocess.run(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            check=True,
        )
    result = json.loads(done.stdout)
    return Section(
        "SWAN-SF as records at full size, one core",
        [
            f"{result['windows']:,} windows of {result['steps']:,} steps in five partitions, from "
            "the catalogue of SWAN-SF to clean records; each stage in one process, one after the "
            "other.",
        ],
        [
            *(Row(name, f"{value:.1f} s") for name, value in result["seconds"].items()),
            at_most("peak RSS of all stages", result["peak_rss"] / 1e9, 1, "GB", **result),
        ],
    )


def simulate(folder: Path, share: float) -> None:
    """Write the tables that the catalogue of SWAN-SF makes, with meaningless values."""
    import numpy as np
    import pyarrow as pa

    from skymill.engine.tables import write_table
    from skymill.swan_sf.schema import PARAMETERS, PARTITIONS, STEPS
    from skymill.swan_sf.tables import STEPS_PER_ROW_GROUP, STEPS_SCHEMA, WINDOWS_SCHEMA

    rng = np.random.default_rng(24)
    harps_before = 0
    steps_of_harp = 5 * (HOURS_OF_HARP - 1) + STEPS
    for number, name in enumerate(PARTITIONS):
        harps = max(4, round(share * WINDOWS[number] / HOURS_OF_HARP))
        harp = harps_before + 1 + np.arange(harps)
        harps_before += harps
        begin = np.datetime64("2010-05-01", "s").astype(np.int64) // 720 * 720
        begin = begin + 720 * (number * 30_000 + rng.integers(0, 25_000, harps))

        def lists(harp: np.ndarray, count: int) -> pa.Array:
            offsets = np.arange(len(harp) * count + 1, dtype=np.int32)
            return pa.ListArray.from_arrays(
                offsets, pa.array(np.repeat(11_000 + harp // 2, count), pa.int32())
            )

        rows = harps * steps_of_harp
        time_tai = (begin[:, None] + 720 * np.arange(steps_of_harp)).reshape(-1)
        steps = {
            "harp": np.repeat(harp, steps_of_harp),
            "time_tai": time_tai.astype("M8[s]"),
            "noaa": lists(harp, steps_of_harp),
            "quality": np.zeros(rows, np.int64),
            "is_tmfi": np.ones(rows, bool),
            "windows": np.ones(rows, np.int32),
            # Half of the bits, so that the files do not fill the disk.
            **{
                each: rng.normal(1, 0.1, rows).astype(np.float32).astype(np.float64)
                for each in PARAMETERS
            },
        }
        start = (begin[:, None] + 3600 * np.arange(HOURS_OF_HARP)).reshape(-1)
        count = len(start)
        windows = {
            "partition": np.full(count, number + 1),
            "harp": np.repeat(harp, HOURS_OF_HARP),
            "start_tai": start.astype("M8[s]"),
            "end_tai": (start + 59 * 720).astype("M8[s]"),
            "label": rng.choice(list("XMCBQ"), count, p=[0.003, 0.018, 0.1, 0.06, 0.819]),
            "goes": pa.nulls(count, pa.string()),
            "flare_id": pa.nulls(count, pa.int64()),
            "event": pa.nulls(count, pa.string()),
            "role": ["NF"] * count,
            "member": [f"{name}/NF/{row}.csv" for row in range(count)],
            "noaa": lists(harp, HOURS_OF_HARP),
        }
        for file, columns, schema in (
            ("steps", steps, STEPS_SCHEMA),
            ("windows", windows, WINDOWS_SCHEMA),
        ):
            arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
            (folder / name).mkdir(exist_ok=True)
            table = pa.Table.from_arrays(arrays, schema=schema)
            path = folder / name / f"{file}.parquet"
            write_table(path, table, rows_per_group=STEPS_PER_ROW_GROUP)


def run_stages(folder: Path) -> dict:
    """Run the stages after the catalogue, and return their seconds and the memory."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import yaml

    from skymill.engine.tables import write_table
    from skymill.magnetic.ids import assign_ids, read_ids
    from skymill.magnetic.inputs import SWAN
    from skymill.magnetic.leaks import find_leaks
    from skymill.magnetic.places import pairs_of_numbers
    from skymill.magnetic.plan import make_plan
    from skymill.magnetic.plan_places import with_places
    from skymill.magnetic.plan_table import read_plan
    from skymill.magnetic.regions import group_harps
    from skymill.magnetic.windows import WindowStore, ingest_windows
    from skymill.magnetic.write import write_clean
    from skymill.settings import of_input

    configuration = Path(__file__).resolve().parent.parent / "config" / "config.yaml"
    config = yaml.safe_load(configuration.read_text())
    config = of_input({**config, "magnetic": {**config["magnetic"], "input": "swan_sf"}})
    took: dict[str, float] = {}
    began = time.perf_counter()

    def done(name: str) -> None:
        nonlocal began
        took[name] = time.perf_counter() - began
        began = time.perf_counter()

    tables = {name: folder / name / "catalogue.parquet" for name in SWAN.train}
    prints = {name: folder / name / "fingerprints.parquet" for name in SWAN.train}
    for name in SWAN.train:
        ingest_windows(
            folder / name / "steps.parquet",
            folder / name / "windows.parquet",
            name,
            catalogue=tables[name],
            fingerprints=prints[name],
            quarantine=folder / name / "rejected.jsonl",
        )
    done("windows taken as records")
    path = folder / "ids.parquet"
    ids, counts = assign_ids(list(map(pq.read_table, tables.values())), collisions="renumber")
    write_table(path, ids)
    done("ids")
    steps = pa.concat_tables(map(pq.read_table, prints.values()))
    record_id = ids["record_id"].to_numpy()
    region = group_harps(
        record_id,
        ids["harp"].to_numpy().astype(np.int64),
        pairs_of_numbers(ids, "harp")[0],
        steps["harp"].to_numpy().astype(np.int64),
        steps["fingerprint"].to_numpy(),
    )
    done("regions")
    originals = read_ids(path).assign(region=region)
    plan, _ = make_plan(originals, config["split"], config["augmentation"], config["seed"])
    write_table(folder / "plan.parquet", with_places(plan, ids))
    done("plan")
    places = pq.read_table(folder / "plan.parquet")
    content = originals.set_index("record_id")["content"]
    find_leaks(read_plan(folder / "plan.parquet"), content, places)
    done("leaks")
    found = len(steps)
    del ids, steps, plan, places, content, originals
    stores = {
        name: WindowStore(tables[name], folder / name / "steps.parquet") for name in SWAN.train
    }
    write_clean(path, stores, folder / "clean", parameters=SWAN.parameters)
    done("clean records")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"windows": counts["kept"], "steps": found, "seconds": took, "peak_rss": peak}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_stages(Path(sys.argv[1]))))
