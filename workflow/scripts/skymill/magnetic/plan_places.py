"""The places and times (UTC) of the records in the plan of SWAN-SF."""

import numpy as np
import pyarrow as pa

from skymill.clock import clock_for
from skymill.magnetic.places import CATALOGUED, PLACES, append_columns
from skymill.swan_sf.places import seconds_of


def with_places(plan: pa.Table, ids: pa.Table) -> pa.Table:
    """Return a plan with the columns of PLACES: a copy has the values of its parent.

    Parameters
    ----------
    plan
        A table of plan_table.PLAN_SCHEMA.
    ids
        The ids of the clean records, which have the columns of CATALOGUED.
    """
    origin = plan["parent"].combine_chunks().fill_null(0).to_numpy()
    origin = np.where(plan["parent"].is_null().to_numpy(), plan["record_id"].to_numpy(), origin)
    rows = np.searchsorted(ids["record_id"].to_numpy(), origin)
    found = ids.select([field.name for field in CATALOGUED]).take(pa.array(rows))
    seconds = {name: seconds_of(found, f"{name}_tai") for name in ("start", "end")}
    clock = clock_for(*seconds.values())
    for name, tai in seconds.items():
        utc = clock.to_utc(tai.astype("M8[s]")).astype("M8[ms]")
        found = found.append_column(name, pa.array(utc))
    return append_columns(plan, found, PLACES)
