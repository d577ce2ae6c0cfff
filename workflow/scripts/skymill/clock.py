"""TAI and UTC. We assume that SWAN-SF's times are TAI; the times of SDOBenchmark are UTC.

SWAN-SF does not name its time scale. HARPs are sampled at multiples of 720 s of TAI. The times of
SWAN-SF are multiples of 720 s too, so we infer that they are TAI.
"""

import warnings

import numpy as np

from skymill.engine.errors import SkymillError

_FIRST_YEAR = 1972
"""From this year on, TAI and UTC differ by whole seconds."""


class Clock:
    """Converts between TAI and UTC over some years.

    Parameters
    ----------
    first, last
        The times to convert are between these times (in either scale), as datetime64.

    Raises
    ------
    SkymillError
        When `first` is before 1972.
    """

    def __init__(self, first: np.datetime64, last: np.datetime64):
        years = [int(np.datetime64(time, "Y").astype(int)) + 1970 for time in (first, last)]
        if years[0] <= _FIRST_YEAR:
            raise SkymillError(
                f"there are times from {years[0]}, before SDO was built: a table of samples or "
                "steps contains wrong times. Look at the table's first rows."
            )
        # Leap seconds come at the end of June or December. Half a year is added at each end,
        # because the two scales differ by less than half a year.
        months = np.arange(f"{years[0] - 1}-07", f"{years[1] + 1}-08", 6, dtype="M8[M]")
        self._utc = months.astype("M8[ns]")
        self.offset = tai_minus_utc(months)
        """Seconds of TAI minus UTC from each half-year on, int64."""
        self._tai = self._utc + self.offset.astype("m8[s]")

    def to_tai(self, utc: np.ndarray) -> np.ndarray:
        """Return UTC as TAI, datetime64[ns]."""
        utc = np.asarray(utc, dtype="M8[ns]")
        return utc + self._at(self._utc, utc)

    def to_utc(self, tai: np.ndarray) -> np.ndarray:
        """Return TAI as UTC, datetime64[ns]; within a leap second, the second after it."""
        tai = np.asarray(tai, dtype="M8[ns]")
        return tai - self._at(self._tai, tai)

    def _at(self, begins: np.ndarray, times: np.ndarray) -> np.ndarray:
        place = np.searchsorted(begins, times, side="right") - 1
        return self.offset[place].astype("m8[s]").astype("m8[ns]")


def clock_for(*seconds: np.ndarray) -> Clock:
    """Return a clock for times in seconds since 1970, of either scale, int64, possibly empty."""
    times = np.concatenate([np.asarray(part, dtype=np.int64) for part in seconds])
    if not len(times):
        times = np.array([np.datetime64("2010-05-01", "s").astype(np.int64)])
    return Clock(*(np.datetime64(int(bound), "s") for bound in (times.min(), times.max())))


def tai_minus_utc(months: np.ndarray) -> np.ndarray:
    """Return the seconds of TAI minus UTC at the beginning of some months (UTC), int64.

    The leap seconds are from Astropy's own table; the network is not used.
    """
    from astropy.time import Time
    from astropy.utils import iers

    begin = np.asarray(months).astype("M8[ms]")
    with (
        iers.conf.set_temp("auto_download", False),
        # Else Astropy would look on the network for a new table months before the table expires.
        iers.conf.set_temp("auto_max_age", None),
        warnings.catch_warnings(),
    ):
        # A warning about future years: their leap seconds are unknown, so the last offset is used.
        warnings.filterwarnings("ignore", message=".*dubious year.*")
        tai = Time(np.datetime_as_string(begin).tolist(), format="isot", scale="utc").tai.isot
    away = tai.astype("M8[ms]") - begin
    return np.rint(away / np.timedelta64(1, "s")).astype(np.int64)
