"""Synthetic records: warped, scaled and duplicated copies that stay physical.

Each copy has its own random stream. So a copy does not depend on the other copies that are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.interpolate import CubicSpline

from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product, new_directory
from skymill.engine.randomness import generator, key
from skymill.engine.tables import categorical, read_table, write_parquet
from skymill.magnetic.output_checks import require_records
from skymill.magnetic.plan_table import METHODS, planned_records
from skymill.magnetic.schema import CLASSES, PARAMETERS, STEPS, XR_MAX_MISSING
from skymill.magnetic.store import (
    NO_RECORDS,
    RECORDS_PER_ROW_GROUP,
    RecordStore,
    pieces,
    step_table,
)

WARP_KNOTS = 4
WARP_DEVIATION = 0.2
LOWEST_WARP = 0.05
"""The knots are drawn from N(1, 0.2), so a curve may undershoot. It is clipped at this value."""

SCALE_RANGE = (0.9, 1.1)

_FORCES = (("EPSX", "TOTFX"), ("EPSY", "TOTFY"), ("EPSZ", "TOTFZ"))


def augmented_schema(parameters: Sequence[str] = PARAMETERS) -> pa.Schema:
    """Return the schema of the augmented set, with a column for each of these parameters.

    A table has one row per step, sorted by (record_id, seq_id). `parent` is null for originals.
    """
    return pa.schema(
        [
            pa.field("record_id", pa.int64(), nullable=False),
            pa.field("seq_id", pa.int8(), nullable=False),
            categorical("label", CLASSES, nullable=False),
            pa.field("parent", pa.int64()),
            categorical("method", METHODS, nullable=False),
            *(pa.field(name, pa.float64(), nullable=False) for name in parameters),
        ]
    )


@dataclass(frozen=True)
class AugmentPiece:
    """One file of the augmented set: rows [first, last) of the plan's augmented part."""

    plan: Path
    ids: Path
    clean: Product
    seed: int
    everything: bool
    parameters: Sequence[str]
    first: int
    last: int
    path: Path


def write_augmented(
    plan: Path,
    ids: Path,
    clean: Product,
    output: Path,
    *,
    seed: int,
    everything: bool,
    parameters: Sequence[str] = PARAMETERS,
    workers: int = 1,
) -> tuple[list[dict], dict]:
    """Write the augmented set that a plan lists.

    Parameters
    ----------
    plan, ids
        Parquet tables of plan.PLAN_SCHEMA and ids.IDS_SCHEMA.
    clean
        The clean training records.
    everything
        Whether the augmented set is the whole plan (augment first, then split) or only its train
        split.
    parameters
        The parameters of the records.

    Returns
    -------
    The manifest's `files` and `counts`.
    """
    planned = planned_records(plan, everything=everything)
    with new_directory(output) as directory:
        work = [
            AugmentPiece(
                plan,
                ids,
                clean,
                seed,
                everything,
                parameters,
                first,
                last,
                directory / f"part-{number:05d}.parquet",
            )
            for number, (first, last) in enumerate(pieces(len(planned)) or NO_RECORDS)
        ]
        files = map_pieces(_write_piece, work, workers=workers, what=f"write {output}")
    counts = {
        "records": len(planned),
        "records_by_label": {
            label: int(count) for label, count in sorted(planned["label"].value_counts().items())
        },
        "records_by_method": {
            method: int(count) for method, count in sorted(planned["method"].value_counts().items())
        },
    }
    return files, counts


def _write_piece(piece: AugmentPiece) -> dict:
    rows = planned_records(piece.plan, everything=piece.everything)[piece.first : piece.last]
    record_id = rows["record_id"].to_numpy()
    origin = rows["parent"].fillna(rows["record_id"]).to_numpy(np.int64)
    clean_ids = read_table(piece.ids, columns=["record_id"])["record_id"].to_numpy()
    position = np.searchsorted(clean_ids, origin)
    order = np.argsort(position, kind="stable")
    values = np.empty((len(piece.parameters), len(rows), STEPS))
    values[:, order] = RecordStore(piece.clean).read(position[order], piece.parameters)
    synthesise(
        values,
        origin,
        rows["method"].to_numpy(object),
        rows["copy"].to_numpy(),
        piece.seed,
        piece.parameters,
    )
    columns = {
        "record_id": record_id,
        "seq_id": np.tile(np.arange(STEPS, dtype=np.int8), (len(rows), 1)),
        "label": pa.array(rows["label"]),
        "parent": pa.array(rows["parent"]),
        "method": pa.array(rows["method"]),
        **dict(zip(piece.parameters, values, strict=True)),
    }
    table = step_table(columns, augmented_schema(piece.parameters))
    require_records(table, record_id)
    return write_parquet(piece.path, table, rows_per_group=RECORDS_PER_ROW_GROUP * STEPS)


def synthesise(
    values: np.ndarray,
    parent: np.ndarray,
    method: np.ndarray,
    copy: np.ndarray,
    seed: int,
    parameters: Sequence[str] = PARAMETERS,
) -> None:
    """Turn the values of parents into the values of their synthetic copies, in place.

    Parameters
    ----------
    values
        float64, shape (len(parameters), records, 60): the values of each row's parent.
    parent, method, copy
        Shape (records,): the parent's id, the method and the number of the copy. The methods
        `warp` and `scale` change values; other methods change none.
    parameters
        The parameters of the values. They must include SHRGT45, TOTBSQ, EPS* and TOTF*.

    Notes
    -----
    `warp` multiplies all parameters by one smooth positive curve. `scale` multiplies each
    parameter by a factor. NaN, the sentinel of XR_MAX, exact zeros and signs do not change.
    SHRGT45 stays within 100 %. EPS* are computed from TOTF* and TOTBSQ, so that the physical
    relation between them is kept.

    Raises
    ------
    ValueError
        When the plan does not know a method.
    """
    unknown = {*np.unique(method)} - {*METHODS}
    if unknown:
        raise ValueError(f"unknown method of augmentation: {', '.join(map(str, sorted(unknown)))}")
    place = {name: number for number, name in enumerate(parameters)}
    for name, draw in FACTORS.items():
        rows = np.flatnonzero(method == name)
        if not len(rows):
            continue
        streams = [generator(key(seed, name, int(copy[row])), int(parent[row])) for row in rows]
        before = values[:, rows]
        after = before * draw(streams, len(parameters))
        if "XR_MAX" in place:
            missing = before[place["XR_MAX"]] == XR_MAX_MISSING
            after[place["XR_MAX"]][missing] = XR_MAX_MISSING
        shear = after[place["SHRGT45"]]
        np.minimum(shear, np.maximum(before[place["SHRGT45"]], 100.0), out=shear)
        _follow_forces(before, after, place)
        values[:, rows] = after


def _curves(streams: list[np.random.Generator]) -> np.ndarray:
    """Return warping curves, shape (records, 60): cubic splines through knots from N(1, 0.2)."""
    knots = np.array([stream.normal(1.0, WARP_DEVIATION, WARP_KNOTS) for stream in streams])
    at = np.linspace(0, STEPS - 1, WARP_KNOTS)
    curves = CubicSpline(at, knots, axis=1)(np.arange(STEPS))
    return np.maximum(curves, LOWEST_WARP)


def _factors(streams: list[np.random.Generator], count: int) -> np.ndarray:
    """Return factors from U(0.9, 1.1), shape (count, records, 1)."""
    factors = np.array([stream.uniform(*SCALE_RANGE, count) for stream in streams])
    return factors.T[:, :, None]


FACTORS = {"warp": lambda streams, _: _curves(streams)[None], "scale": _factors}
"""The factors of each method of plan_table.CHANGED, from random streams and a number of
parameters."""


def _follow_forces(before: np.ndarray, after: np.ndarray, place: dict[str, int]) -> None:
    """Recompute EPS* of the copies: EPS* is proportional to TOTF* / TOTBSQ.

    The constant is the parent's own: the published constant has only six digits.
    """
    energy = place["TOTBSQ"]
    for ratio, force in _FORCES:
        force = place[force]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = (after[force] / before[force]) / (after[energy] / before[energy])
        known = np.isfinite(change)
        eps = before[place[ratio]]
        after[place[ratio]] = np.where(known, eps * np.where(known, change, 1.0), eps)
