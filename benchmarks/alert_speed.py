"""Alerts to stamps against a simple way: fastavro, gzip, astropy and a .npy file per alert."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip, isal_zlib
from measure import (
    PACKAGE,
    REPOSITORY,
    SCALING_RUNS,
    Row,
    Section,
    at_least,
    interleaved,
    neighbours,
    on_cores,
    seconds,
)

from skymill.alerts.avro import read_header, read_records
from skymill.alerts.packet import CUTOUTS, IMAGES, SLOTS
from skymill.alerts.tarball import Part
from skymill.raw.files import HashedRaw
from skymill.simulate.tarballs import member
from skymill.simulate.ztf import write_night
from skymill.ztf.catalogue import BATCH_BYTES, extract_night
from skymill.ztf.decode import Choice, decode_batch

REAL = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
REAL_NIGHT = REAL / "ztf" / "ztf_public_20181129.tar.gz"

NIGHT = "20180605"
LABELLED = 0.37
"""Share of objects with a label: 134,066 of 358,163 in the publication."""

MEMORY_MB = 600

RUNS = 5

JOB = """
import json, sys, time
from pathlib import Path
from skymill.ztf.decode import Choice
from skymill.raw.files import HashedRaw
from skymill.ztf.catalogue import extract_night
raw, folder, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if __name__ == "__main__":
    start = time.perf_counter()
    hashed = HashedRaw(raw, "gzip")
    content = extract_night(
        raw, "20180605", stamps=folder / "stamps.parquet", quarantine=folder / "lost.jsonl",
        choice=Choice(), opener=hashed.open, workers=workers,
    )
    hashed.receipt()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "kept": content["counts"]["kept"]}))
"""


def simulate(folder: Path, alerts: int) -> Path:
    """Write a simulated night of schema 4.02 and return its tarball."""
    raw = folder / f"ztf_public_{NIGHT}.tar.gz"
    write_night(raw, NIGHT, 0, alerts=alerts, objects=alerts, seed=4, version="4.02", workers=2)
    return raw


def read_packets(raw: Path) -> list[bytes]:
    """Return the alert files of a tarball."""
    with tarfile.open(raw) as archive:
        return [archive.extractfile(entry).read() for entry in archive if entry.isfile()]


def reference_alert(text: bytes, folder: Path, labelled: set[str] | None = None) -> None:
    """Decode, inflate, open, crop and save one packet in the simple way."""
    import astropy.io.fits
    import fastavro

    for alert in fastavro.reader(io.BytesIO(text)):
        if labelled is not None and alert["objectId"] not in labelled:
            continue
        images = []
        for name in CUTOUTS:
            if alert[name] is None:
                break
            content = gzip.decompress(alert[name]["stampData"])
            with astropy.io.fits.open(io.BytesIO(content), ignore_missing_simple=True) as opened:
                image = np.array(opened[0].data, np.float32)
            top, left = (image.shape[0] - 21) // 2, (image.shape[1] - 21) // 2
            images.append(np.nan_to_num(image[top : top + 21, left : left + 21], nan=0.0))
        if len(images) == 3:
            np.save(folder / f"alert_{alert['candid']}.npy", np.stack(images))


def reference_packets(packets: list[bytes], folder: Path) -> None:
    """Turn packets in memory into .npy files. Damaged packets are skipped."""
    for text in packets:
        try:
            reference_alert(text, folder)
        except Exception:  # noqa: BLE001 (as a simple program would)
            continue


def reference_night(raw: Path, folder: Path, labelled: set[str] | None = None) -> None:
    """Turn the packets of a tarball into .npy files. Damaged packets are skipped."""
    with tarfile.open(raw) as archive:
        for entry in archive:
            if not entry.isfile():
                continue
            try:
                reference_alert(archive.extractfile(entry).read(), folder, labelled)
            except Exception:  # noqa: BLE001 (as a simple program would)
                continue


def batches(packets: list[bytes]) -> Iterator[list[Part]]:
    """Group packets into batches, as extract_night does."""
    batch, size = [], 0
    for number, text in enumerate(packets):
        batch.append(Part(f"{number}.avro", text))
        size += len(text)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def stamps_of(packets: list[bytes]) -> list[bytes]:
    """Return the gzipped stamps of packets that can be read."""
    found = []
    for text in packets:
        header = read_header(text)
        for record in read_records(text, header, header.end):
            if hasattr(record, "slots"):
                for path in IMAGES:
                    _, begin, size = record.slots[SLOTS[path]].tolist()
                    stamp = record.text[begin : begin + size]
                    if stamp.startswith(b"\x1f\x8b"):
                        found.append(stamp)
    return found


def _inflate_all(stamps: list[bytes]) -> None:
    for stamp in stamps:
        try:
            isal_zlib.decompress(stamp, 31)
        except isal_zlib.error:  # the packet that the simulation breaks
            continue


def _require_same(packets: list[bytes], folder: Path) -> None:
    """Check that the two ways return the same stamps of regular alerts."""
    compared = 0
    for batch in batches(packets):
        for row in decode_batch(batch, Choice(edge="drop")).rows:
            expected = np.load(folder / f"alert_{row['candid']}.npy")
            if not np.array_equal(row["stamps"].reshape(3, 21, 21), expected):
                raise RuntimeError(f"the two ways do not agree on {row['candid']}")
            compared += 1
    if compared < 0.9 * len(packets):
        raise RuntimeError(f"only {compared} alerts could be compared")


def measure_night(scratch: Path, raw: Path, name: str, claim: float) -> Section:
    """Measure one night on one core: packets to stamps, and tarball to Parquet."""
    packets = read_packets(raw)
    stamps = stamps_of(packets)
    saved = scratch / "npy"
    saved.mkdir()
    labels = _labels(scratch, packets)
    labelled = set(pq.read_table(labels)["object_id"].to_pylist())

    def decode() -> None:
        for batch in batches(packets):
            decode_batch(batch, Choice())

    def extract(choice: Choice) -> None:
        hashed = HashedRaw(raw, "gzip")
        extract_night(
            raw,
            NIGHT,
            stamps=scratch / "stamps.parquet",
            quarantine=scratch / "lost.jsonl",
            choice=choice,
            opener=hashed.open,
        )
        hashed.receipt()

    contenders = {
        "decode": decode,
        "decode, reference": lambda: reference_packets(packets, saved),
        "inflate alone": lambda: _inflate_all(stamps),
        "night": lambda: extract(Choice()),
        "night, reference": lambda: reference_night(raw, saved),
        "labelled": lambda: extract(Choice(labels=labels)),
        "labelled, reference that looks up first": lambda: reference_night(raw, saved, labelled),
    }
    slow = {key for key in contenders if "reference" in key}
    timings = interleaved(contenders, {key: 2 if key in slow else RUNS for key in contenders})
    _require_same(packets, saved)
    shutil.rmtree(saved)
    best = {key: timing.best for key, timing in timings.items()}
    rate = {key: len(packets) / value for key, value in best.items()}
    runs = {"alerts": len(packets), "seconds": seconds(timings)}
    return Section(
        f"Alerts to stamps, one core, {name}",
        [
            f"{len(packets):,} packets of {np.mean([len(p) for p in packets]) / 1e3:.0f} kB, best "
            f"of {RUNS} (references: of 2) alternately. Reference: `tarfile`, `fastavro.reader` on "
            "whole records, `gzip.decompress`, `astropy.io.fits.open`, crop, `np.save` for each "
            "alert. The results for regular alerts are compared value by value.",
            "Alerts a second: "
            + ", ".join(f"{key} {value:,.0f}" for key, value in rate.items())
            + ".",
        ],
        [
            at_least(
                f"decode to stamps, {name}",
                best["decode, reference"] / best["decode"],
                claim,
                **runs,
            ),
            _share(
                f"decode to stamps, share of the rate of inflating alone, {name}",
                best["inflate alone"] / best["decode"],
                0.6,
            ),
            at_least(f"tarball to Parquet, {name}", best["night, reference"] / best["night"], 5),
            at_least(
                f"tarball to Parquet, {LABELLED:.0%} of objects labelled, {name}",
                best["night, reference"] / best["labelled"],
                7,
            ),
            Row(
                f"labelled alerts, against a reference that inflates only these, {name}",
                f"{best['labelled, reference that looks up first'] / best['labelled']:.1f} x",
            ),
        ],
    )


def _share(what: str, value: float, claim: float) -> Row:
    figures = {"value": value, "claim": claim}
    return Row(what, f"{value:.0%}", f">= {claim:.0%}", value >= claim, figures)


def _labels(scratch: Path, packets: list[bytes]) -> Path:
    """Write labels for a share of the objects, and fill the list up to its real length."""
    ids = set()
    for batch in batches(packets):
        ids.update(decode_batch(batch, Choice()).rows["object_id"].astype(str).tolist())
    chosen = sorted(ids)[: round(LABELLED * len(ids))]
    others = [f"ZTF17z{number:06d}" for number in range(868_371 - len(chosen))]
    path = scratch / "labels.parquet"
    pq.write_table(pa.table({"object_id": chosen + others}), path)
    return path


def repeat(packets: list[bytes], path: Path, alerts: int) -> Path:
    """Write a tarball of so many alerts: repetitions of the same packets with new candids.

    Candids ascend, as in the archive's tarballs.
    """
    known = []
    for text in packets:
        header = read_header(text)
        records = [record for record in read_records(text, header, header.end)]
        if len(records) == 1 and hasattr(records[0], "slots"):
            candid = int(records[0].slots[SLOTS["candid"], 1])
            known.append((candid, text[: header.end], text[header.end :]))
    known.sort()
    span = known[-1][0] - known[0][0] + 1
    with igzip.open(path, "wb", compresslevel=1) as stream:
        for number in range(alerts):
            turn, place = divmod(number, len(known))
            candid, beginning, body = known[place]
            changed = candid + span * turn
            # The number is in the record and again in its candidate.
            body = body.replace(_long(candid), _long(changed))
            stream.write(member(f"{changed}.avro", beginning + body, 0))
        stream.write(bytes(1024))
    return path


def _long(number: int) -> bytes:
    """Return a non-negative number in the encoding of Avro."""
    number *= 2
    text = bytearray()
    while number > 127:
        text.append(number & 127 | 128)
        number >>= 7
    return bytes([*text, number])


def _job(raw: Path, folder: Path, workers: int, cores: int) -> dict:
    """Extract a night in a separate process. Return seconds, kept, and peak memory in MB."""
    # As Snakemake does before a job.
    (folder / "stamps.parquet").unlink(missing_ok=True)
    peak = 0.0
    with (
        on_cores(cores),
        subprocess.Popen(
            [sys.executable, "-c", JOB, str(raw), str(folder), str(workers)],
            env={**os.environ, "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, _peak(process.pid))
            time.sleep(0.1)
        done = json.loads(process.stdout.read())
    return {**done, "megabytes": peak}


def _peak(process: int) -> float:
    """Return the peak resident memory of a process in MB, or 0 if it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) * 1024 / 1e6 if found else 0


def measure_scaling(scratch: Path, packets: list[bytes], alerts: int) -> Section:
    """Measure two cores against one, in separate processes, without their start."""
    raw = repeat(packets, scratch / "large.tar.gz", alerts)
    runs = {1: [], 2: []}
    for _ in range(SCALING_RUNS):
        for cores in runs:
            runs[cores].append(_job(raw, scratch, cores, cores)["seconds"])
    best = {cores: min(values) for cores, values in runs.items()}
    rates = ", ".join(f"{cores}: {alerts / value:,.0f}" for cores, value in best.items())
    return Section(
        "Alerts to stamps, two cores",
        [
            f"A night of {alerts:,} alerts ({raw.stat().st_size / 1e9:.2f} GB), tarball to "
            f"Parquet, best of {SCALING_RUNS} alternately. Alerts per second by cores: {rates}."
        ],
        [
            at_least(
                "tarball to Parquet, two cores against one", best[1] / best[2], 1.8, runs=runs
            ),
            neighbours(runs[1], runs[2]),
        ],
    )


def measure_memory(scratch: Path, packets: list[bytes], small: int, large: int) -> Section:
    """Measure the peak memory of a small and a large night, main process and workers."""
    peaks: dict[int, dict] = {}
    for alerts in (small, large):
        raw = repeat(packets, scratch / f"{alerts}.tar.gz", alerts)
        one, two = _job(raw, scratch, 1, 1), _job(raw, scratch, 2, 2)
        raw.unlink()
        if one["kept"] < 0.9 * alerts:
            raise RuntimeError(f"only {one['kept']} of {alerts} alerts were kept")
        peaks[alerts] = {"one worker": one["megabytes"], "two workers": two["megabytes"]}
    growth = max(peaks[large][who] / peaks[small][who] for who in peaks[small])
    highest = max(value for found in peaks.values() for value in found.values())
    table = "; ".join(
        f"{alerts:,} alerts: "
        + ", ".join(f"{who} {value:.0f} MB" for who, value in peaks[alerts].items())
        for alerts in peaks
    )
    return Section(
        "Memory of the extraction",
        [f"Peak resident memory of the process, whose workers are threads. {table}."],
        [
            Row(
                f"peak memory, {large:,} alerts against {small:,}",
                f"{growth:.2f} x",
                "<= 1.2 x",
                growth <= 1.2,
                {"megabytes": peaks},
            ),
            Row(
                "peak memory of a process of the extraction",
                f"{highest:.0f} MB",
                f"<= {MEMORY_MB} MB",
                highest <= MEMORY_MB,
            ),
        ],
    )


def measure_alerts(scratch: Path, *, quick: bool) -> Iterator[Section]:
    """Measure all claims about alerts."""
    simulated = simulate(scratch, 60 if quick else 500)
    packets = read_packets(simulated)
    if REAL_NIGHT.is_file():
        folder = scratch / "real"
        folder.mkdir()
        yield measure_night(folder, REAL_NIGHT, "real night of schema 3.1", 6)
    folder = scratch / "simulated"
    folder.mkdir()
    yield measure_night(folder, simulated, "simulated schema 4.02", 8)
    if REAL_NIGHT.is_file():
        packets = read_packets(REAL_NIGHT)
    yield measure_scaling(scratch, packets, 500 if quick else 20_000)
    yield measure_memory(scratch, packets, 500, 2_000 if quick else 50_000)
