"""What the unpacked tree holds: a row for every sample and every image, and all that is wrong.

Nothing is decided here except whether a file is what its name says.
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
from skymill.engine.tables import write_table
from skymill.sdo.check import DAMAGED
from skymill.sdo.images import STATUSES, check_image
from skymill.sdo.metadata import MetaRow, read_metadata
from skymill.sdo.names import (
    CHANNELS,
    METADATA,
    SETS,
    STEPS,
    nearest_step,
    parse_image_name,
    parse_sample_id,
)

SAMPLES_PER_PIECE = 32

_WORD = pa.dictionary(pa.int8(), pa.string())
SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("set", _WORD, nullable=False),
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
        pa.field("set", _WORD, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("channel", pa.int8(), nullable=False),
        pa.field("step", pa.int8(), nullable=False),
        pa.field("time", pa.timestamp("ns")),
        pa.field("status", _WORD, nullable=False),
        pa.field("flagged", pa.bool_(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("content", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Problem:
    """Something wrong: its kind, the file, sample or region concerned, and what is wrong."""

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
        Outputs: Parquet tables with SAMPLE_SCHEMA (one row a well-formed row of the metadata, in
        file order) and IMAGE_SCHEMA (one row a file in a sample's folder), and JSON lines, one a
        problem.
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
            stream.write(json.dumps(vars(problem), ensure_ascii=False) + "\n")
    statuses = Counter(_words(image_table, "status"))
    held = sample_table["has_folder"].to_numpy()
    return {
        "files": [write_table(samples, sample_table), write_table(images, image_table)],
        "counts": {
            "samples": {name: len(part) for name, part in rows.items()},
            "malformed_rows": malformed,
            "samples_without_folder": int((~held).sum()),
            "images": image_table.num_rows,
            "images_by_status": {status: statuses[status] for status in STATUSES},
            "images_damaged": sum(statuses[status] for status in DAMAGED),
            "images_flagged": int(np.count_nonzero(image_table["flagged"].to_numpy())),
            "problems_by_kind": dict(sorted(Counter(p.kind for p in found).items())),
            "regions_in_both_sets": regions_in_both(sample_table),
        },
    }


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
    """Return what lies in the folder of a set without belonging to a row of its metadata."""
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
        "name": [name for sample in checked for name in sample.names],
        "channel": joined("channel", "i1"),
        "step": joined("step", "i1"),
        "time": joined("time", "M8[ns]"),
        "status": np.array(STATUSES, dtype=object)[joined("status", "i1")],
        "flagged": joined("flagged", "?"),
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

    Each file is read once; `content` is a 64-bit BLAKE2b of its bytes. Of two good images in one
    step of a channel the nearer one counts, then the first by name.

    Parameters
    ----------
    home
        The sample's folder.
    start
        When its window begins.
    """
    names = sorted(path.name for path in home.iterdir())
    count = len(names)
    channel = np.full(count, -1, dtype=np.int8)
    time = np.full(count, "NaT", dtype="M8[ns]")
    status = np.zeros(count, dtype=np.int8)
    flagged = np.zeros(count, dtype=bool)
    size = np.zeros(count, dtype=np.int64)
    content = np.zeros(count, dtype=np.uint64)
    for number, name in enumerate(names):
        parsed, path = parse_image_name(name), home / name
        if parsed is None or not path.is_file():
            status[number] = STATUSES.index("unparsable_name")
            continue
        time[number], channel[number] = parsed
        with open(path, "rb") as stream:
            data = stream.read()
        found, flagged[number] = check_image(data)
        status[number] = STATUSES.index(found)
        size[number], content[number] = len(data), digest(data)
    step, distance = nearest_step(time, start)
    status[(status == 0) & (step < 0)] = STATUSES.index("unplaced")
    good = np.flatnonzero(status == 0)
    # Stable, and names are sorted: the first by name wins a tie.
    good = good[np.argsort(distance[good], kind="stable")]
    _, first = np.unique(channel[good] * np.int16(STEPS) + step[good], return_index=True)
    later = np.ones(len(good), dtype=bool)
    later[first] = False
    status[good[later]] = STATUSES.index("superseded")
    return SampleImages(names, channel, step, time, status, flagged, size, content)


def digest(data: bytes) -> int:
    """Return the 64-bit digest of a file's bytes."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def _sample_problems(samples: pa.Table) -> list[Problem]:
    """Return rows without folder, repeated ids, and regions that stand in both sets."""
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
    """Return a problem for each file that is not a good image in its place."""
    homes = _homes(samples)
    wrong = images.filter(pc.not_equal(images["status"].cast(pa.string()), "ok"))
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
        "unparsable_name": "is not <YYYY-MM-DDTHHMMSS>__<channel>.jpg",
        "undecodable": f"no JPEG, or cut short ({image['bytes']} bytes)",
        "not_256_8bit": "is not 256 x 256 in one band of 8 bits",
        "all_black": "every pixel is 0",
        "unplaced": "more than 40 minutes from every step of its sample",
        "superseded": f"another image is nearer to step {slot[1]} of channel {slot[0]}",
    }[image["status"]]


def _homes(samples: pa.Table) -> dict[tuple[str, int], str]:
    keys = zip(_words(samples, "set"), samples["row"].to_pylist(), strict=True)
    return dict(zip(keys, samples["folder"].to_pylist(), strict=True))


def _duplicates(samples: pa.Table, images: pa.Table) -> list[Problem]:
    """Return a problem for each content that stands in the folders of several samples."""
    homes = _homes(samples)
    good = images.filter(pc.equal(images["status"].cast(pa.string()), "ok"))
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
