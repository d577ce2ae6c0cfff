"""Catalogue the unpacked tree: a row for every sample and every image, and a list of problems.

This module decides only whether a file is what its name says.
"""

import json
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_file
from skymill.engine.tables import categorical, write_table
from skymill.engine.words import utf8
from skymill.sdo.check import DAMAGED, NO_SLOT
from skymill.sdo.images import MOST_BYTES, OFF_DISK, STATUSES, WIDTH, check_image
from skymill.sdo.metadata import MetaRow, read_metadata
from skymill.sdo.names import (
    CHANNELS,
    METADATA,
    SETS,
    STEPS,
    TOLERANCE,
    common_shift,
    nearest_step,
    parse_image_name,
    parse_sample_id,
)

SAMPLES_PER_PIECE = 32
_SECOND = np.timedelta64(1, "s")

SAMPLE_SCHEMA = pa.schema(
    [
        categorical("set", SETS, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("ar_num", pa.int32(), nullable=False),
        pa.field("time_id", pa.string(), nullable=False),
        pa.field("start", pa.timestamp("ns"), nullable=False),
        pa.field("end", pa.timestamp("ns"), nullable=False),
        pa.field("peak_flux", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("has_folder", pa.bool_(), nullable=False),
    ]
)
IMAGE_SCHEMA = pa.schema(
    [
        categorical("set", SETS, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("channel", pa.int8(), nullable=False),
        pa.field("step", pa.int8(), nullable=False),
        pa.field("time", pa.timestamp("ns")),
        categorical("status", STATUSES, nullable=False),
        pa.field("flagged", pa.bool_(), nullable=False),
        pa.field("off_disk", pa.int32(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("content", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Problem:
    """A problem: its kind, the file, sample or region, and a description."""

    kind: str
    where: str
    detail: str


@dataclass(frozen=True)
class SampleImages:
    """The files of one sample's folder, sorted by name; arrays of shape (files,)."""

    names: list[str]
    channel: np.ndarray
    step: np.ndarray
    time: np.ndarray
    status: np.ndarray
    flagged: np.ndarray
    off_disk: np.ndarray
    size: np.ndarray
    content: np.ndarray


def catalogue(
    folder: Path, root: str, *, samples: Path, images: Path, problems: Path, workers: int = 1
) -> dict:
    """Read the metadata and check every image of an unpacked tree.

    Parameters
    ----------
    folder, root
        The unpacked tree, and the root of the data set in it.
    samples, images, problems
        Outputs: Parquet tables with SAMPLE_SCHEMA (one row per well-formed row of the metadata, in
        file order) and IMAGE_SCHEMA (one row per file in a sample's folder), and JSON lines, one
        per problem.
    workers
        Processes; the bytes do not depend on them.

    Returns
    -------
    The content of the manifest: files and counts.
    """
    found: list[Problem] = []
    rows, malformed = {}, {}
    for name, part in SETS.items():
        home = Path(root, part)
        rows[name], bad = read_metadata(folder / home / METADATA)
        malformed[name] = len(bad)
        where = (home / METADATA).as_posix()
        found += [Problem("malformed_row", f"{where}:{line}", why) for line, why in bad]
        found += _strays(folder, home, rows[name])
    sample_table = _sample_table(folder, root, rows)
    image_table = _image_table(folder, sample_table, workers)
    found += _sample_problems(sample_table)
    found += _image_problems(sample_table, image_table)
    found += _duplicates(sample_table, image_table)
    found.sort(key=lambda problem: (problem.kind, problem.where, problem.detail))

    with new_file(problems) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for problem in found:
            entry = {key: utf8(text) for key, text in vars(problem).items()}
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    statuses = Counter(_words(image_table, "status"))
    kinds = Counter(problem.kind for problem in found)
    held = sample_table["has_folder"].to_numpy()
    return {
        "files": [write_table(samples, sample_table), write_table(images, image_table)],
        "counts": {
            "samples": {name: len(part) for name, part in rows.items()},
            "malformed_rows": malformed,
            "samples_without_folder": int((~held).sum()),
            "folders_without_row": kinds["folder_without_row"] + kinds["unparsable_folder"],
            "images": image_table.num_rows,
            "images_by_status": {status: statuses[status] for status in STATUSES},
            "images_damaged": sum(statuses[status] for status in DAMAGED),
            "images_without_slot": sum(statuses[status] for status in NO_SLOT),
            "images_flagged": int(np.count_nonzero(image_table["flagged"].to_numpy())),
            "images_shifted": _shifts(sample_table, image_table),
            "off_disk": _off_disk(image_table),
            "slots": count_slots(sample_table, image_table),
            "problems_by_kind": dict(sorted(kinds.items())),
            "regions_in_both_sets": regions_in_both(sample_table),
        },
    }


def count_slots(samples: pa.Table, images: pa.Table) -> dict[str, dict[str, list[int]]]:
    """Count the slots of the samples that have a good image. A sample has 4 steps x 10 channels.

    Returns
    -------
    The number of filled slots and of all slots: of each set under `by_set`, of each channel of
    each set (`train 94`) under `by_channel`, and of each year of both sets under `by_year`. A
    sample counts in the year in which its window begins.
    """
    year = samples["start"].to_numpy().astype("M8[Y]").astype(int) + 1970
    sets = np.array(_words(samples, "set"), dtype=object)
    good = images.filter(_is(images, "ok"))
    filled = np.zeros((len(sets), len(CHANNELS)), dtype=np.int64)
    # Samples of the second set follow the samples of the first set.
    (_, second), train = SETS, int(np.count_nonzero(sets == next(iter(SETS))))
    place = good["row"].to_numpy() + train * _is(good, second, "set").to_numpy()
    np.add.at(filled, (place, good["channel"].to_numpy()), 1)
    by_set, by_channel = {}, {}
    for name in SETS:
        own = filled[sets == name]
        by_set[name] = [int(own.sum()), len(own) * STEPS * len(CHANNELS)]
        for number, channel in enumerate(CHANNELS):
            by_channel[f"{name} {channel}"] = [int(own[:, number].sum()), len(own) * STEPS]
    by_year = {
        str(one): [int(filled[year == one].sum()), int((year == one).sum()) * STEPS * len(CHANNELS)]
        for one in np.unique(year).tolist()
    }
    return {"by_set": by_set, "by_channel": by_channel, "by_year": by_year}


def _shifts(samples: pa.Table, images: pa.Table) -> dict[str, dict]:
    """Return for each set the most frequent time shift of its images that are at no step."""
    found = {}
    for name in SETS:
        own = images.filter(pc.and_(_is(images, "unplaced"), _is(images, name, "set")))
        start = samples.filter(_is(samples, name, "set"))["start"].to_numpy()
        shift = common_shift(own["time"].to_numpy() - start[own["row"].to_numpy()])
        if shift:
            found[name] = {"seconds": shift[0], "images": shift[1], "unplaced": own.num_rows}
    return found


def _off_disk(images: pa.Table) -> dict[str, dict]:
    """Return for each HMI channel which share of its good images is outside the solar disk."""
    found = {}
    for channel in OFF_DISK:
        at = pc.equal(images["channel"], CHANNELS.index(channel))
        pixels = images.filter(pc.and_(_is(images, "ok"), at))["off_disk"].to_numpy()
        found[channel] = {
            "images": len(pixels),
            "images_with_some": int(np.count_nonzero(pixels)),
            "images_by_half": int(np.count_nonzero(pixels > WIDTH**2 / 2)),
            "share": round(float(pixels.mean()) / WIDTH**2, 6) if len(pixels) else 0.0,
        }
    return found


def _is(table: pa.Table, word: str, column: str = "status") -> pa.ChunkedArray:
    """Return which rows have a word in a categorical column."""
    return pc.equal(table[column].cast(pa.string()), word)


def _words(table: pa.Table, name: str) -> list[str]:
    return table[name].cast(pa.string()).to_pylist()


def _sample_table(folder: Path, root: str, rows: dict[str, list[MetaRow]]) -> pa.Table:
    """Return the table of samples, train before test, each in file order."""
    columns: dict[str, list] = {name: [] for name in SAMPLE_SCHEMA.names}
    for name, part in rows.items():
        for number, row in enumerate(part):
            home = Path(root, SETS[name], row.region, row.folder).as_posix()
            values = {
                "set": name,
                "row": number,
                "line": row.line,
                "sample_id": row.sample_id,
                "ar_num": int(row.region),
                "time_id": row.folder,
                "start": row.start,
                "end": row.end,
                "peak_flux": row.peak_flux,
                "folder": home,
                "has_folder": (folder / home).is_dir(),
            }
            for key, value in values.items():
                columns[key].append(value)
    for key in ("start", "end"):
        columns[key] = np.array(columns[key], dtype="M8[ns]")
    return pa.table(
        [pa.array(columns[field.name], type=field.type) for field in SAMPLE_SCHEMA],
        schema=SAMPLE_SCHEMA,
    )


def _strays(folder: Path, home: Path, rows: list[MetaRow]) -> list[Problem]:
    """Return the files and folders of a set that belong to no row of its metadata."""
    known = {(row.region, row.folder) for row in rows}
    found = []
    for region in sorted((folder / home).iterdir()):
        if not region.is_dir():
            if region.name != METADATA:
                found.append(_stray(home / region.name))
            continue
        for sample in sorted(region.iterdir()):
            where = home / region.name / sample.name
            if (region.name, sample.name) in known:
                continue
            if not sample.is_dir():
                found.append(_stray(where))
            elif parse_sample_id(f"{region.name}_{sample.name}") is None:
                detail = "is not <region>/<YYYY_MM_DD_HH_MM_SS_k>"
                found.append(Problem("unparsable_folder", where.as_posix(), detail))
            else:
                files = sum(1 for _ in sample.iterdir())
                found.append(Problem("folder_without_row", where.as_posix(), f"{files} files"))
    return found


def _stray(where: Path) -> Problem:
    return Problem("stray_file", where.as_posix(), "is in the folder of no sample")


def _image_table(folder: Path, samples: pa.Table, workers: int) -> pa.Table:
    """Check the files of all samples in parallel; return the table of images."""
    held = samples.filter(samples["has_folder"])
    homes = [folder / home for home in held["folder"].to_pylist()]
    starts = held["start"].to_numpy()
    work = [
        (homes[first : first + SAMPLES_PER_PIECE], starts[first : first + SAMPLES_PER_PIECE])
        for first in range(0, len(homes), SAMPLES_PER_PIECE)
    ]
    done = map_pieces(_check_piece, work, workers=workers, what="check images")
    checked = [sample for piece in done for sample in piece]
    sizes = [len(sample.names) for sample in checked]

    def joined(name: str, kind: str) -> np.ndarray:
        parts = [getattr(sample, name) for sample in checked]
        return np.concatenate(parts) if parts else np.array([], dtype=kind)

    columns = {
        "set": np.repeat(np.array(_words(held, "set"), dtype=object), sizes),
        "row": np.repeat(held["row"].to_numpy(), sizes),
        "name": [utf8(name) for sample in checked for name in sample.names],
        "channel": joined("channel", "i1"),
        "step": joined("step", "i1"),
        "time": joined("time", "M8[ns]"),
        "status": np.array(STATUSES, dtype=object)[joined("status", "i1")],
        "flagged": joined("flagged", "?"),
        "off_disk": joined("off_disk", "i4"),
        "bytes": joined("size", "i8"),
        "content": joined("content", "u8"),
    }
    return pa.table(
        [pa.array(columns[field.name], type=field.type) for field in IMAGE_SCHEMA],
        schema=IMAGE_SCHEMA,
    )


def _check_piece(piece: tuple[list[Path], np.ndarray]) -> list[SampleImages]:
    return [check_sample(home, start) for home, start in zip(*piece, strict=True)]


def check_sample(home: Path, start: np.datetime64) -> SampleImages:
    """Check the files of one sample's folder and assign them to its steps.

    Each file is read once; `content` is the 64-bit BLAKE2b of its bytes. If a step of a channel has
    two good images, the nearer image counts; if both are equally near, the first by name.

    Parameters
    ----------
    home
        The sample's folder.
    start
        When the sample's window begins.
    """
    names = sorted(path.name for path in home.iterdir())
    count = len(names)
    channel = np.full(count, -1, dtype=np.int8)
    time = np.full(count, "NaT", dtype="M8[ns]")
    status = np.zeros(count, dtype=np.int8)
    flagged = np.zeros(count, dtype=bool)
    off_disk = np.zeros(count, dtype=np.int32)
    size = np.zeros(count, dtype=np.int64)
    content = np.zeros(count, dtype=np.uint64)
    for number, name in enumerate(names):
        parsed, path = parse_image_name(name), home / name
        if parsed is None or not path.is_file():
            status[number] = STATUSES.index("unparsable_name")
            continue
        time[number], channel[number] = parsed
        with open(path, "rb") as stream:
            # One more byte shows that the file is too long to be an image.
            data = stream.read(MOST_BYTES + 1)
        found = check_image(data, CHANNELS[channel[number]])
        status[number] = STATUSES.index(found.status)
        flagged[number], off_disk[number] = found.flagged, found.off_disk
        size[number], content[number] = len(data), digest(data)
    step, distance = nearest_step(time, start)
    status[(status == 0) & (step < 0)] = STATUSES.index("unplaced")
    good = np.flatnonzero(status == 0)
    # The sort is stable and names are sorted, so the first by name wins a tie.
    good = good[np.argsort(distance[good], kind="stable")]
    _, first = np.unique(channel[good] * np.int16(STEPS) + step[good], return_index=True)
    later = np.ones(len(good), dtype=bool)
    later[first] = False
    status[good[later]] = STATUSES.index("superseded")
    return SampleImages(names, channel, step, time, status, flagged, off_disk, size, content)


def digest(data: bytes) -> int:
    """Return the 64-bit digest of a file's bytes."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def _sample_problems(samples: pa.Table) -> list[Problem]:
    """Return rows without a folder, repeated ids, and regions that are in both sets."""
    found = []
    ids, homes = samples["sample_id"].to_pylist(), samples["folder"].to_pylist()
    for sample_id, home, held in zip(ids, homes, samples["has_folder"].to_pylist(), strict=True):
        if not held:
            found.append(Problem("row_without_folder", sample_id, f"{home} does not exist"))
    for (name, sample_id), count in Counter(zip(_words(samples, "set"), ids, strict=True)).items():
        if count > 1:
            found.append(Problem("repeated_id", sample_id, f"{count} rows in {SETS[name]}"))
    for region in regions_in_both(samples):
        found.append(Problem("region_in_both_sets", str(region), "in training and in test"))
    return found


def regions_in_both(samples: pa.Table) -> list[int]:
    """Return the active regions that have samples in both official sets, ascending."""
    train = np.array(_words(samples, "set"), dtype=object) == "train"
    region = samples["ar_num"].to_numpy()
    return np.intersect1d(region[train], region[~train]).tolist()


def _image_problems(samples: pa.Table, images: pa.Table) -> list[Problem]:
    """Return a problem for each file that is not a good image of a slot."""
    homes = _homes(samples)
    wrong = images.filter(pc.invert(_is(images, "ok")))
    return [
        Problem(
            f"image_{image['status']}",
            f"{homes[image['set'], image['row']]}/{image['name']}",
            _explain(image),
        )
        for image in wrong.to_pylist()
    ]


def _explain(image: dict) -> str:
    """Say what is wrong with an image."""
    slot = CHANNELS[image["channel"]], image["step"]
    return {
        "unparsable_name": "is no file <YYYY-MM-DDTHHMMSS>__<channel>.jpg",
        "undecodable": f"no JPEG, cut short, or longer than any image ({image['bytes']} bytes)",
        "not_256_8bit": "is not 256 x 256 in one band of 8 bits",
        "all_black": "every pixel is 0",
        "degenerate": "its pixels are all alike, or many of its rows are without any variation",
        "unplaced": f"more than {TOLERANCE // _SECOND} s from every step of its sample",
        "superseded": f"another image is nearer to step {slot[1]} of channel {slot[0]}",
    }[image["status"]]


def _homes(samples: pa.Table) -> dict[tuple[str, int], str]:
    keys = zip(_words(samples, "set"), samples["row"].to_pylist(), strict=True)
    return dict(zip(keys, samples["folder"].to_pylist(), strict=True))


def _duplicates(samples: pa.Table, images: pa.Table) -> list[Problem]:
    """Return a problem for each content that is in the folders of several samples."""
    homes = _homes(samples)
    good = images.filter(_is(images, "ok"))
    content = good["content"].to_numpy()
    order = np.argsort(content, kind="stable")
    same = content[order][1:] == content[order][:-1]
    repeated = np.unique(content[order][1:][same])
    chosen = good.filter(pa.array(np.isin(content, repeated)))
    places: dict[int, list[str]] = {}
    for image in chosen.select(["set", "row", "name", "content"]).to_pylist():
        where = f"{homes[image['set'], image['row']]}/{image['name']}"
        places.setdefault(image["content"], []).append(where)
    found = []
    for where in places.values():
        if len({place.rpartition("/")[0] for place in where}) > 1:
            others = ", ".join(sorted(set(where))[1:4])
            detail = f"{len(set(where))} files have the same content: {others}"
            found.append(Problem("duplicate_content", min(where), detail))
    return found
