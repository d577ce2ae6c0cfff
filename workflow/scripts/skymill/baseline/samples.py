"""Read the records of the baseline from tables of statistics, ids and regions."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.baseline.divisions import Division, divide_alerts, divide_records
from skymill.baseline.models import last_known
from skymill.baseline.records import KEYS as RECORD_KEYS
from skymill.baseline.stamps import KEYS as STAMP_KEYS
from skymill.baseline.trials import Sample
from skymill.engine.errors import SkymillError
from skymill.engine.tables import read_frame, read_table
from skymill.magnetic.ids import read_ids
from skymill.magnetic.places import have_places
from skymill.magnetic.plan import with_regions
from skymill.magnetic.schema import LABELS
from skymill.swan_sf.places import seconds_of


def magnetic_sample(
    statistics: Path, ids: Path, regions: Path, settings: Mapping
) -> tuple[Sample, list[Division], dict[str, str]]:
    """Return the magnetic records, their divisions, and the reasons why units have no division.

    Parameters
    ----------
    statistics, ids, regions
        The tables of the training records; see records.describe_records.
    settings
        The settings of divisions.divide_records, and `baseline`.
    """
    originals = with_regions(read_ids(ids), read_table(regions))
    keys = read_frame(statistics, [field.name for field in RECORD_KEYS])
    place = np.searchsorted(originals["record_id"], keys["record_id"])
    label = originals["label"].to_numpy(object)[place]
    sample = Sample(
        statistics,
        LABELS,
        tuple(settings["baseline"]["positive"]["magnetic"]),
        code=np.array([LABELS.index(name) for name in label], dtype=np.int64),
        group=originals["region"].to_numpy(np.int64)[place],
        known=known_rows(read_table(ids), place),
    )
    return sample, *divide_records(originals, keys, settings)


def known_rows(ids: pa.Table, place: np.ndarray) -> np.ndarray | None:
    """Return for each row the row whose label was last known; None if records have no times.

    `place` has the record of each row. The originals are the first rows, in the order of the ids.
    """
    if not have_places(ids):
        return None
    known = last_known(ids["harp"].to_numpy().astype(np.int64), seconds_of(ids, "end_tai"))
    return known[place]


def stamps_sample(
    statistics: Path, settings: Mapping
) -> tuple[Sample, list[Division], dict[str, str]]:
    """Return the alerts of ZTF and their divisions.

    Parameters
    ----------
    statistics
        See stamps.describe_stamps.
    settings
        `seed`, `ztf.split`, `labels.map`, `labels.other` and `baseline`, as in the configuration.

    Raises
    ------
    SkymillError
        If there are no alerts.
    """
    keys = read_table(statistics, STAMP_KEYS)
    if not keys.num_rows:
        raise SkymillError(
            "the cross-match has no stamps, so it cannot have a baseline. Choose other nights "
            "(ztf.nights) or another list of labels, or remove ztf from `branches`."
        )
    classes = tuple(sorted({*settings["labels.map"].values(), settings["labels.other"]}))
    code = pc.index_in(keys["label"], pa.array(classes)).to_numpy()
    group = np.unique(keys["group"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    sample = Sample(
        statistics,
        classes,
        tuple(settings["baseline"]["positive"]["ztf"]),
        code=code.astype(np.int64),
        group=group.astype(np.int64),
    )
    return sample, divide_alerts(keys, settings["ztf.split"], settings["seed"]), {}
