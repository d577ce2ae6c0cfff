"""Locate and join at full size: keys are simulated here, and located in a new process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from measure import ONE_THREAD, PACKAGE, Row, Section, at_least, at_most, markdown_table, on_cores

RECORDS = 214_023
"""Records in the training files of 2020."""
STEPS_OF_SWAN = 2_000_000
"""Distinct steps of SWAN-SF."""
STEPS_OF_HARP = 600
"""Five days."""
SAMPLES = {"train": 8336, "test": 886}
"""Samples of SDOBenchmark."""
SHARES = {"exact": 0.55, "rounded": 0.2, "ambiguous": 0.02}
"""Records by the kind of their keys. All other records are absent."""
TEN_DECIMALS = 0.1
"""Share of the steps whose rounded key is changed, as by different rounding."""


def measure_aligned(folder: Path, *, records: int, share: float) -> Section:
    """Simulate keys, locate and join in a process of one core, and report time and memory.

    `share` is of the full size of SWAN-SF and of SDOBenchmark.
    """
    folder.mkdir()
    _simulate(folder, records, share, seed=20)
    with on_cores(1):
        done = subprocess.run(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            check=True,
        )
    result = json.loads(done.stdout)
    tiers = [[tier, *map(str, numbers)] for tier, numbers in result["tiers"].items()]
    return Section(
        "Locating and joining at full size, one core",
        [
            f"{records:,} records of 60 steps, {result['steps']:,} steps of SWAN-SF, "
            f"{result['samples']:,} samples of SDOBenchmark. Includes reading and writing of the "
            "tables. A tenth of the records' rounded keys is wrong, and two in a hundred of the "
            "records are in two HARPs.",
        ],
        [
            at_most("locate records, CPU time", result["locate"], 60, "s", **result),
            Row("locate records, wall time", f"{result['locate_wall']:.1f} s"),
            at_most("locate records, peak RSS", result["peak_rss"] / 1e9, 2, "GB"),
            at_least("precision of located records", result["precision"], 1),
            at_least("recall of records that are there once", result["recall"], 0.999),
            at_most("join samples, CPU time", result["join"], 10, "s"),
            Row("join samples, wall time", f"{result['join_wall']:.1f} s"),
        ],
        [markdown_table(["outcome", "simulated", "found", "right"], tiers)],
    )


def _simulate(folder: Path, records: int, share: float, seed: int) -> None:
    """Write keys of steps and of records with the truth, and the tables of samples."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from skymill.aligned.steps import STEP_KEYS_SCHEMA
    from skymill.engine.randomness import key, keyed_hash
    from skymill.engine.tables import write_table
    from skymill.magnetic.schema import STEPS

    rng = np.random.default_rng(seed)
    harps = max(20, round(share * STEPS_OF_SWAN / STEPS_OF_HARP))
    # Every fiftieth HARP is a copy of the HARP before it.
    source = np.arange(harps)
    source[49::50] = source[48::50][: len(source[49::50])]
    begin = np.datetime64("2010-05-01", "s").astype(int) // 720 + rng.integers(0, 3e5, harps)
    begin[49::50] = begin[48::50][: len(begin[49::50])]
    step = np.arange(STEPS_OF_HARP)
    value = (source[:, None] * 2**20 + step).reshape(-1)
    columns = {
        "harp": np.repeat(np.arange(1, harps + 1), STEPS_OF_HARP),
        "time_tai": ((begin[:, None] + step) * 720).reshape(-1).astype("M8[s]"),
        "noaa": pa.ListArray.from_arrays(
            np.arange(harps * STEPS_OF_HARP + 1, dtype=np.int32),
            pa.array(np.repeat(20_000 + np.arange(harps), STEPS_OF_HARP), pa.int32()),
        ),
        "exact": keyed_hash(value, key(seed, "exact")),
        "rounded": keyed_hash(value, key(seed, "rounded")),
    }
    table = pa.table(
        [pa.array(columns[field.name]).cast(field.type) for field in STEP_KEYS_SCHEMA],
        schema=STEP_KEYS_SCHEMA,
    )
    write_table(folder / "steps.parquet", table)

    # Records: windows of HARPs that are in SWAN-SF once, twice, or not at all.
    kind = rng.choice([*SHARES, "absent"], records, p=[*SHARES.values(), 1 - sum(SHARES.values())])
    twice = np.isin(np.arange(harps), np.concatenate([np.arange(harps)[48::50], source[49::50]]))
    twice |= source != np.arange(harps)
    single, double = np.flatnonzero(~twice), np.flatnonzero(twice)
    harp = np.where(kind == "ambiguous", rng.choice(double, records), rng.choice(single, records))
    first = rng.integers(0, STEPS_OF_HARP - STEPS + 1, records)
    values = source[harp][:, None] * 2**20 + first[:, None] + np.arange(STEPS)
    values[kind == "absent"] += 2**50
    exact = keyed_hash(values.reshape(-1), key(seed, "exact")).reshape(-1, STEPS)
    rounded = keyed_hash(values.reshape(-1), key(seed, "rounded")).reshape(-1, STEPS)
    exact[kind == "rounded"] ^= np.uint64(2**40 + 1)
    rounded[rng.random(rounded.shape) < TEN_DECIMALS] ^= np.uint64(2**41 + 1)
    keys = pa.table({"exact": exact.reshape(-1), "rounded": rounded.reshape(-1)})
    pq.write_table(keys, folder / "train_partition1_data.parquet")
    truth = {
        "kind": kind,
        "harp": harp + 1,
        "start": (begin[harp] + first) * 720,
        "label": rng.choice(list("XMCBQ"), records, p=[0.002, 0.018, 0.1, 0.06, 0.82]),
    }
    pq.write_table(pa.table(truth), folder / "truth.parquet")

    # Hourly windows of SWAN-SF, and samples at some times of HARPs.
    ends = np.arange(STEPS - 1, STEPS_OF_HARP, 5)
    windows = {
        "harp": np.repeat(np.arange(1, harps + 1), len(ends)),
        "end_tai": ((begin[:, None] + ends) * 720).reshape(-1).astype("M8[s]"),
        "label": rng.choice(list("MCBQ"), harps * len(ends)),
    }
    windows["goes"] = np.where(windows["label"] == "Q", None, windows["label"] + np.array("1.0"))
    pq.write_table(pa.table(windows), folder / "windows.parquet")
    counts = {name: max(40, round(share * number)) for name, number in SAMPLES.items()}
    total = sum(counts.values())
    region = rng.integers(0, harps, total)
    end = (begin[region] + rng.integers(0, STEPS_OF_HARP, total)) * 720 + rng.integers(
        0, 720, total
    )
    end = end.astype("M8[s]").astype("M8[ns]")
    folders = [str(time.astype("M8[s]")).translate(str.maketrans("-T:", "___")) for time in end]
    samples = {
        "set": [name for name, number in counts.items() for _ in range(number)],
        "row": np.concatenate([np.arange(number, dtype=np.int32) for number in counts.values()]),
        "sample_id": [f"{20_000 + r}_{f}_0" for r, f in zip(region, folders, strict=True)],
        "ar_num": 20_000 + region,
        "time_id": [f"{name}_0" for name in folders],
        "start": end - np.timedelta64(12, "h"),
        "end": end,
        "label": rng.choice(list("XMCQ"), total),
        "goes_class": ["M1.0"] * total,
    }
    pq.write_table(pa.table(samples), folder / "samples.parquet")


def _run(folder: Path) -> dict:
    """Locate and join, and compare with the truth."""
    import numpy as np
    import pandas as pd
    from plan_at_scale import peak_rss

    from skymill.aligned.join import read_windows
    from skymill.aligned.locate import locate
    from skymill.aligned.plan import make_pairs
    from skymill.aligned.records import keys_of_ids
    from skymill.aligned.steps import read_steps
    from skymill.clock import clock_for
    from skymill.engine.tables import read_frame, write_table

    truth = read_frame(folder / "truth.parquet")
    count = len(truth)
    name = "train_partition1_data"
    ids = pd.DataFrame(
        {
            "record_id": np.arange(1, count + 1),
            "position": np.arange(count),
            "partition": name,
            "label": truth["label"],
        }
    )
    begun = _now()
    steps = read_steps([folder / "steps.parquet"])
    exact, rounded = keys_of_ids(ids, {name: folder / f"{name}.parquet"})
    table, _ = locate(ids, exact, rounded, steps, clock_for(steps.time))
    write_table(folder / "record_times.parquet", table)
    located_in, memory = _now() - begun, peak_rss()
    del exact, rounded, table

    begun = _now()
    found = read_frame(folder / "record_times.parquet")
    samples = read_frame(folder / "samples.parquet")
    times = samples["end"].to_numpy("M8[s]").astype(np.int64)
    steps = read_steps([folder / "steps.parquet"])
    pairs, _, _ = make_pairs(
        samples,
        steps,
        read_windows([folder / "windows.parquet"]),
        clock_for(steps.time, times),
        found,
        follow_official=True,
        fractions={"validation": 0.1, "test": 0.1},
        seed=1,
    )
    write_table(folder / "pairs.parquet", pairs)
    joined_in = _now() - begun

    located = (found["status"] == "located").to_numpy()
    start = found["start_tai"].to_numpy("M8[s]").astype(np.int64)
    right = located & (start == truth["start"].to_numpy())
    right &= found["harp"].fillna(0).to_numpy(np.int64) == truth["harp"].to_numpy()
    kind = truth["kind"].to_numpy(object)
    right &= np.isin(kind, ["exact", "rounded"])
    outcome = np.where(located, found["tier"].to_numpy(object), found["status"].to_numpy(object))
    tiers = {}
    for tier in (*SHARES, "absent"):
        own = outcome == tier
        agrees = right[own].sum() if tier in ("exact", "rounded") else (kind[own] == tier).sum()
        tiers[tier] = [int((kind == tier).sum()), int(own.sum()), int(agrees)]
    return {
        "locate": float(located_in[0]),
        "locate_wall": float(located_in[1]),
        "join": float(joined_in[0]),
        "join_wall": float(joined_in[1]),
        "peak_rss": memory,
        "steps": len(steps),
        "samples": len(samples),
        "pairs": pairs.num_rows,
        "precision": float(right.sum() / max(1, located.sum())),
        "recall": float(right.sum() / max(1, np.isin(kind, ["exact", "rounded"]).sum())),
        "tiers": tiers,
    }


def _now():
    """Return CPU time and wall time of this process, as an array."""
    import numpy as np

    return np.array([time.process_time(), time.perf_counter()])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_run(Path(sys.argv[1]))))
