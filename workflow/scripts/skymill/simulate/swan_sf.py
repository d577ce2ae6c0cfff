"""Simulate the tarballs of SWAN-SF: the series of the sky, cut into one window per hour.

A window has 60 steps. Most HARPs have the names and the 55 columns of the Dataverse release. Some
have the older format with 52 columns. The names of the three columns that are missing in the older
format are guesses. One of some hundreds of windows is bad.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_file, scratch_directory
from skymill.magnetic.schema import INDEX, LABELS, STEPS
from skymill.raw.files import write_sidecar
from skymill.simulate.magnetic import Layout, region_series
from skymill.simulate.sky import STEP_SECONDS, Stretch, draw_sky
from skymill.simulate.tarballs import Piece, join_pieces, member, write_piece
from skymill.swan_sf.schema import PARAMETERS, PARTITIONS

STRETCHES_PER_PIECE = 8
"""Series that are written at a time: about 20 MB of text."""

STEPS_APART = 5
"""Windows of SWAN-SF start every hour."""

OLD_FORM = 8
"""One of so many HARPs has the older format."""

BAD_EVERY, CHANGED_EVERY = 250, 400
"""One of so many quiet windows is bad, and one has a step with other values than in other windows.
"""

FAULTS = ("short", "off_grid", "name")
"""The faults of a bad window: the last row is missing, a step is 5 minutes late, or the name is not
the name of a window."""

_TIME = 1_600_000_000
_VALUES = list(PARAMETERS)
# The only place where the order differs from the 2020 files.
_SHEAR = _VALUES.index("SHRGT45")
_VALUES[_SHEAR : _SHEAR + 2] = ["MEANSHR", "SHRGT45"]

_PLACES = ["CRVAL1", "CRLN_OBS", "LAT_MIN", "LON_MIN", "LAT_MAX", "LON_MAX"]
_ADDED = ["CRVAL2", "CRLT_OBS", "HC_ANGLE"]
_FLARES = [
    f"{letter}FLARE{label}{place}"
    for place in ("", "_loc")
    for letter in "BCMX"
    for label in ("", "_label")
]
_OLD_COLUMNS = [
    "Timestamp", *_VALUES, *_PLACES, "QUALITY", "NOAA_AR", "IS_TMFI", *_FLARES, "XR_MAX", "XR_QUAL"
]  # fmt: skip
_COLUMNS = [
    "Timestamp", *_VALUES, *_PLACES, *_ADDED,
    "QUALITY", "NOAA_AR", "IS_TMFI", *_FLARES, "XR_MAX", "XR_QUAL",
]  # fmt: skip
_MISSING = ("", "NaN", "NA")


def write_partition(
    raw: Path,
    partition: str,
    *,
    magnetic: dict,
    sdo: dict,
    coverage: float,
    seed: int,
    workers: int = 1,
) -> None:
    """Write a simulated partition, and the sidecar that says `sample`.

    Parameters
    ----------
    partition
        One of schema.PARTITIONS.
    magnetic, sdo, coverage, seed
        The arguments of `sky.draw_sky`.
    workers
        Processes. The bytes do not depend on them.
    """
    sky = draw_sky(magnetic=magnetic, sdo=sdo, coverage=coverage, seed=seed)
    number = PARTITIONS.index(partition) + 1
    held = [stretch for stretch in sky.stretches if number in stretch.partition]
    raw.parent.mkdir(parents=True, exist_ok=True)
    with (
        new_file(raw) as temporary,
        scratch_directory(raw) as folder,
    ):
        pieces = [
            (sky.layout, number, held[at : at + STRETCHES_PER_PIECE], folder / f"{at:06d}")
            for at in range(0, max(1, len(held)), STRETCHES_PER_PIECE)
        ]
        parts = map_pieces(_write_piece, pieces, workers=workers, what=f"simulate {partition}")
        join_pieces(temporary, parts)
    made_of = {"magnetic": magnetic, "sdo": sdo, "coverage": coverage, "seed": seed}
    write_sidecar(raw, "sample", simulator=made_of)


def windows(files: Layout, stretch: Stretch, partition: int) -> Iterator[tuple[str, str]]:
    """Yield name and content of each window of a series in a partition, in order of time.

    `files` is the layout of the 2020 files, which contain the series. Names are the names in the
    tarball.
    """
    first, last = (int(files.region_start[stretch.region + more]) for more in (0, 1))
    stride = int(files.stride[stretch.region])
    old = stretch.harp % OLD_FORM == 0
    columns = _OLD_COLUMNS if old else _COLUMNS
    rows = _rows(region_series(files, stretch.region), stretch, columns)
    for offset in range(0, (last - first - 1) * stride + 1, STEPS_APART):
        record = offset // stride
        if stretch.partition[record] != partition:
            continue
        label = LABELS[files.label[first + record]]
        start = stretch.start + offset * STEP_SECONDS
        name = _name(stretch, start, stretch.goes[record], stretch.flare[record], old=old)
        lines = rows[offset : offset + STEPS]
        if label == "Q":
            name, lines = _spoilt(name, lines, stretch, offset)
        folder = "FL" if label in "XM" else "NF"
        text = "\n".join(["\t".join(columns), *lines])
        yield f"{PARTITIONS[partition - 1]}/{folder}/{name}", f"{text}\n"


def _write_piece(piece: tuple[Layout, int, list[Stretch], Path]) -> Piece:
    files, partition, held, path = piece
    return write_piece(
        path,
        (
            member(name, text.encode("ascii"), _TIME)
            for stretch in held
            for name, text in windows(files, stretch, partition)
        ),
    )


def _name(stretch: Stretch, start: int, goes: str | None, flare: int | None, *, old: bool) -> str:
    begin, end = _iso(start), _iso(start + (STEPS - 1) * STEP_SECONDS)
    if old:
        label = f"[{goes[0]}]{goes[1:]}@{flare}" if goes else "[NF]"
        return f"lab{label}_id[{stretch.harp}]_st[{begin}]_et[{end}].csv"
    label = f"{goes}@{flare}:Primary" if goes else "FQ"
    return f"{label}_ar{stretch.harp}_s{begin}_e{end}.csv"


def _rows(series: np.ndarray, stretch: Stretch, columns: list[str]) -> list[str]:
    """Return the lines of all steps of a series, float64 of shape (33, steps)."""
    steps = series.shape[1]
    values = series[[INDEX[name] for name in _VALUES]]
    if stretch.rounded:
        values = np.round(values, 10)
    values[:, : stretch.hidden] = np.nan
    texts = [list(map(repr, row)) for row in values.tolist()]
    for parameter, step in np.argwhere(np.isnan(values)):
        texts[parameter][step] = _MISSING[step % len(_MISSING)]
    seen = np.arange(steps) >= stretch.hidden
    # One degree in two hours; if steps are hidden beyond the limb, the series starts at the limb.
    west = (-90.0 if stretch.hidden else -60.0) + 0.11 * (np.arange(steps) - stretch.hidden)
    x_ray = series[INDEX["XR_MAX"]]
    lines = []
    for step, row in enumerate(zip(*texts, strict=True)):
        time = stretch.start + step * STEP_SECONDS
        noaa = [str(number) for number, since in stretch.numbers if since <= time]
        given = {
            "Timestamp": _iso(time, " "),
            **dict(zip(_VALUES, row, strict=True)),
            "CRVAL1": f"{200 + 0.002 * step:.6f}",
            "CRLN_OBS": f"{270 - 0.11 * step:.6f}",
            "LAT_MIN": "-20.5",
            "LAT_MAX": "-8.25",
            "LON_MIN": f"{west[step] - 8:.6f}",
            "LON_MAX": f"{west[step]:.6f}",
            "QUALITY": ("0.0" if step % 60 else "66560.0") if seen[step] else "",
            # As pandas writes it: a single number is a float.
            "NOAA_AR": f"{noaa[0]}.0" if len(noaa) == 1 else ";".join(noaa),
            "IS_TMFI": str(bool(seen[step])),
            "XR_MAX": repr(float(x_ray[step])),
            "XR_QUAL": "12",
        }
        lines.append("\t".join(given.get(name, _default(name)) for name in columns))
    return lines


def _default(name: str) -> str:
    """Return the content of the columns about single flares, and of other unread columns."""
    return "None" if "label" in name else "0.0"


def _spoilt(name: str, lines: list[str], stretch: Stretch, offset: int) -> tuple[str, list[str]]:
    """Return a quiet window in the tarball, with a fault in some windows."""
    number = 101 * stretch.harp + offset // STEPS_APART
    turn, place = divmod(number, BAD_EVERY)
    fault = FAULTS[turn % len(FAULTS)] if place == 0 else None
    if fault == "short":
        return name, lines[:-1]
    if fault == "name":
        return f"window_{stretch.harp}_{offset}.csv", lines
    changed = number % CHANGED_EVERY == CHANGED_EVERY // 2
    if fault == "off_grid" or changed:
        step = number % STEPS
        time, value, *rest = lines[step].split("\t")
        if fault:
            time = f"{time[:-5]}{(int(time[-5:-3]) + 5) % 60:02d}{time[-3:]}"
        else:
            value = "12.5"
        lines = [*lines[:step], "\t".join([time, value, *rest]), *lines[step + 1 :]]
    return name, lines


def _iso(seconds: int, between: str = "T") -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%S")
