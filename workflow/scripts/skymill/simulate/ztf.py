"""Simulate nights of public ZTF alerts: tarballs in the archive's layout, with its known quirks.

`plan_night` chooses the alerts and their quirks. The content of an alert depends only on the seed,
the night and the alert's place. So alerts can be simulated in any order and in any process, and the
tarball has the same bytes. The number of broken alerts is fixed for any size of the night. Edge
stamps, NaN pixels and null cutouts are as frequent as in real nights.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_file, scratch_directory
from skymill.engine.randomness import generator, key
from skymill.raw.files import write_sidecar
from skymill.simulate.tarballs import Piece, join_pieces, member, write_piece
from skymill.simulate.ztf_objects import object_id
from skymill.simulate.ztf_packets import CUTOUTS, packets
from skymill.simulate.ztf_schema import VERSIONS
from skymill.simulate.ztf_stamps import (
    DETECTOR,
    SIZE,
    ZERO_POINT,
    Edge,
    blank,
    draw_stamps,
    fits_gzip,
    jpeg,
    scene,
)

SOUND, NAN, NAN_IN_CROP, EDGE, SHORT_EDGE, NULL_CUTOUT, JPEG, BROKEN_GZIP, TRUNCATED = range(9)
"""The quirks of an alert: none, NaN pixels, the shape of the stamps, or damage."""

DAMAGES = (JPEG, BROKEN_GZIP, TRUNCATED)
"""The damage of one alert in each of the first, second and third night: a JPEG instead of the
science stamp, a wrong checksum at the end, a member whose Avro file is cut off."""

NAN_SHARE, NAN_IN_CROP_SHARE, EDGE_SHARE, NULL_SHARE = 0.127, 0.027, 0.013, 0.0005
"""How often an alert has NaN pixels, NaN in the central 21 x 21 pixels, stamps smaller than 63 x 63
(all three as in a real night of 499 alerts), or no cutout (a guess: such alerts are known). A night
has at least two edges and one null. The second night has one more edge, with MIN_LENGTH pixels."""

NEGATIVE_SHARE = 0.36
"""Share of the alerts with a source that is fainter than in the template."""

POSITIVE, NEGATIVE = ("t", "t", "t", "1"), ("f", "f", "f", "0")
"""How the sign of the difference is written. The archive has two ways."""

MIN_LENGTH = 41
"""The fewest pixels of a cut axis. Only with this length, 21 x 21 pixels around the source do not
fit."""

TWIN_EVERY, TWIN_DISTANCE = 20, 0.03 / 3600
"""One of so many objects is another name of the object before, at this distance in degrees, which
is the distance of a real pair. (The frequency of such pairs is a guess.)"""

CYCLE, IN_FOLDER, EMPTY = 4, 1, 3
"""In each four nights: the place of the night with members in a folder, and of the empty night."""

ALERTS_PER_PIECE = 20
"""Alerts simulated at a time."""

_EXPOSURES, _CHANNELS = 200, 64
_FIRST_NIGHT = date(2017, 1, 1)
"""The date of night 0 in the count of the survey."""


@dataclass(frozen=True, eq=False)
class Night:
    """The alerts of a night.

    Attributes
    ----------
    name
        The night in the file's name: a date, and perhaps `_programid3`.
    version
        The version of the schema.
    in_folder
        Whether the members are in a folder.
    number
        Objects of the alerts, int32, shape (alerts,).
    oddity
        The quirk of each alert, SOUND to TRUNCATED, int8, shape (alerts,).
    first
        Place of the first of these alerts in the night: not 0 for a part of the night.
    """

    name: str
    version: str
    in_folder: bool
    number: np.ndarray
    oddity: np.ndarray
    first: int = 0

    def part(self, start: int, stop: int) -> "Night":
        """Return the alerts of a whole night at the places [start, stop)."""
        chosen = slice(start, stop)
        return replace(
            self, number=self.number[chosen], oddity=self.oddity[chosen], first=self.first + start
        )


def plan_night(
    name: str,
    place: int,
    *,
    alerts: int,
    objects: int,
    seed: int,
    version: str | None = None,
) -> Night:
    """Choose the alerts of a night.

    Parameters
    ----------
    name, place
        The night, and its place among all nights, from 0. The quirks of a night depend only on its
        place, so that an additional night changes no earlier night. Versions alternate. The second
        night of each four has its members in a folder, and the fourth is empty.
    alerts, objects
        Alerts of a night that is not empty, and objects in the pool of all nights. Neighbouring
        nights share objects, and the last alert of a night has the same object as the first.
    seed
        The seed of all random numbers, not negative.
    version
        The version of the schema; by default the version of the place.
    """
    count = 0 if place % CYCLE == EMPTY else alerts
    first = place * max(1, alerts * 2 // 3)
    number = (first + np.arange(count)) % objects
    number[-1:] = number[:1]
    rng = generator(key(seed, "ztf", "night", name), 0)
    oddity = np.full(count, SOUND, np.int8)
    free = iter(rng.permutation(count - 1) if count else ())
    wanted = list(DAMAGES[place : place + 1])
    wanted += [NULL_CUTOUT] * max(1, round(NULL_SHARE * count))
    wanted += [SHORT_EDGE] * (place == 1)
    wanted += [EDGE] * max(2, round(EDGE_SHARE * count))
    wanted += [NAN_IN_CROP] * max(1, round(NAN_IN_CROP_SHARE * count))
    wanted += [NAN] * round((NAN_SHARE - NAN_IN_CROP_SHARE) * count)
    for kind, alert in zip(wanted, free, strict=False):
        oddity[alert] = kind
    shuffled = rng.permutation(count)
    return Night(
        name=name,
        version=version or VERSIONS[place % len(VERSIONS)],
        in_folder=place % CYCLE == IN_FOLDER,
        number=number[shuffled].astype(np.int32),
        oddity=oddity[shuffled],
    )


def write_night(
    raw: Path,
    name: str,
    place: int,
    *,
    alerts: int,
    objects: int,
    seed: int,
    version: str | None = None,
    workers: int = 1,
) -> None:
    """Write the tarball of a night, and the sidecar that says `sample`.

    Memory does not grow with the night: until the pieces are joined, they are on disk, with about
    45 kB per alert. For the parameters, see `plan_night`. `workers` does not change a byte.
    """
    plan = plan_night(name, place, alerts=alerts, objects=objects, seed=seed, version=version)
    raw.parent.mkdir(parents=True, exist_ok=True)
    with (
        new_file(raw) as temporary,
        scratch_directory(raw) as folder,
    ):
        work = [
            (plan.part(at, at + ALERTS_PER_PIECE), seed, folder / f"{at:08d}.deflate")
            for at in range(0, len(plan.number), ALERTS_PER_PIECE)
        ]
        pieces = map_pieces(_write_piece, work, workers=workers, what=f"simulate {name}")
        join_pieces(temporary, pieces)
    write_sidecar(
        raw,
        "sample",
        simulator={
            "alerts": alerts,
            "objects": objects,
            "place": place,
            "seed": seed,
            "version": plan.version,
        },
    )


def packet(night: Night, at: int, seed: int) -> tuple[int, bytes]:
    """Return candid and Avro file of one alert of a night, with the planned damage."""
    number, oddity = int(night.number[at]), int(night.oddity[at])
    at += night.first
    rng = generator(key(seed, "ztf", "alert", night.name), at)
    values = _observation(night.name, at)
    seen = scene(number, values["fid"], seed)
    flux = 10 ** rng.uniform(1.9, 4.2)
    negative = rng.random() < NEGATIVE_SHARE
    if negative:
        flux = min(flux, 0.8 * seen.flux)
    ra, dec = _sky(number, seed)
    edge = _edge(rng, oddity == SHORT_EDGE) if oddity in (EDGE, SHORT_EDGE) else None
    values |= {
        "isdiffpos": (NEGATIVE if negative else POSITIVE)[int(rng.integers(4))],
        "ra": ra + rng.normal(0, 2e-5),
        "dec": dec + rng.normal(0, 2e-5),
        "magpsf": ZERO_POINT - 2.5 * float(np.log10(flux)),
        "sigmapsf": float(rng.uniform(0.02, 0.2)),
        "rb": float(rng.random()),
        # The deep classifier came with schema 3.3; a few alerts lack its score.
        "drb": float(rng.random()) if rng.random() < 0.95 else None,
        **_pixel(rng, seen.shift, edge),
    }
    drawn = draw_stamps(rng, seen, -flux if negative else flux)
    if edge:
        drawn = tuple(edge.cut(stamp) for stamp in drawn)
    if oddity in (NAN, NAN_IN_CROP):
        drawn = tuple(stamp.copy() for stamp in drawn)
        blank(rng, drawn, oddity == NAN_IN_CROP)
    stamps = dict(zip(CUTOUTS, map(fits_gzip, drawn), strict=True))
    if oddity == NULL_CUTOUT:
        stamps[list(CUTOUTS)[at % len(CUTOUTS)]] = None
    if oddity == JPEG:
        stamps["cutoutScience"] = jpeg(drawn[0])
    if oddity == BROKEN_GZIP:
        content = bytearray(stamps["cutoutScience"])
        content[-8] ^= 0xFF  # the first byte of the checksum
        stamps["cutoutScience"] = bytes(content)
    old = night.version == VERSIONS[0]
    history = int(rng.integers(8, 31)) if old else int(rng.integers(25, 36))
    if rng.random() < 0.02:
        history = 0  # nothing was visible before
    content = packets(night.version, values["pid"]).packet(
        object_id(number), values, stamps, rng, history=history, forced=int(rng.integers(25, 36))
    )
    return values["candid"], content[: len(content) * 3 // 5] if oddity == TRUNCATED else content


def _write_piece(piece: tuple[Night, int, Path]) -> Piece:
    night, seed, path = piece
    day, _ = _date_and_program(night.name)
    time = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    folder = f"ztf_public_{night.name}/" if night.in_folder else ""

    def members():
        if folder and night.first == 0:
            yield member(folder, b"", time)
        for at in range(len(night.number)):
            candid, content = packet(night, at, seed)
            yield member(f"{folder}{candid}.avro", content, time)

    return write_piece(path, members())


def _date_and_program(name: str) -> tuple[date, int]:
    """Return date and program of a night: 1 is public, 3 is Caltech's program."""
    day, _, program = name.partition("_programid")
    return datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date(), int(program or 1)


def _observation(name: str, at: int) -> dict:
    """Return the time, the instrument and the ids of the alert at a place of a night.

    An exposure's key is its night and fraction of a day. A processing ID adds the readout channel.
    An alert's id adds a number to the processing ID. So ids are unique within and across nights.
    """
    day, program = _date_and_program(name)
    night_id = (day - _FIRST_NIGHT).days
    exposure, channel = at % _EXPOSURES, at // _EXPOSURES % _CHANNELS
    table_id = 1 + at // (_EXPOSURES * _CHANNELS)
    # Exposures take 30 s and a pause. Other programs use the exposures in between.
    fraction = 15_000 + 60 * exposure + 10 * program
    processing = (night_id * 10**5 + fraction) * 10**4 + channel * 100 + 15
    return {
        "candid": processing * 10**6 + 10_000 + table_id,
        "pid": processing,
        "jd": day.toordinal() + 1_721_424.5 + fraction / 1e5,
        "fid": 1 + exposure % 2,
        "programid": program,
        "nid": night_id,
        "rcid": channel,
        "tblid": table_id,
        "field": 246 + exposure,
    }


def _sky(number: int, seed: int) -> tuple[float, float]:
    """Return right ascension and declination of an object, degrees.

    The last of each TWIN_EVERY objects is at the place of the object before: two names of one
    source.
    """
    if number % TWIN_EVERY == TWIN_EVERY - 1:
        ra, dec = _sky(number - 1, seed)
        return ra, dec + TWIN_DISTANCE
    rng = generator(key(seed, "ztf", "sky"), number)
    return float(rng.uniform(0, 360)), float(np.degrees(np.arcsin(rng.uniform(-0.5, 1))))


def _edge(rng: np.random.Generator, shortest: bool) -> Edge:
    """Return how the detector cuts an alert's stamps. The shortest are too short for a crop."""
    length = MIN_LENGTH if shortest else int(rng.integers(MIN_LENGTH + 1, SIZE))
    return Edge(("xpos", "ypos")[int(rng.integers(2))], bool(rng.integers(2)), length)


def _pixel(rng: np.random.Generator, shift: tuple[float, float], edge: Edge | None) -> dict:
    """Return the place of the source on its detector, in pixels from 1."""
    position = {}
    for (axis, size), part in zip(DETECTOR.items(), shift, strict=True):
        pixel = int(rng.integers(SIZE, size - SIZE))
        if edge and edge.axis == axis:
            pixel = edge.position
        position[axis] = pixel + part
    return position
