"""Names of windows: class of the coming flare, its number, HARP, first and last step.

The Dataverse release has names such as
`M1.0@1235:Primary_ar384_s2011-02-16T23:00:00_e2011-02-17T10:48:00.csv` and `FQ_ar3293_s.._e...csv`.
Older files have names such as `lab[B]8.3@7467_id[3647]_st[..]_et[..].csv` and
`lab[NF]_id[..]_st[..]_et[..].csv`. `ar` and `id` are HARP numbers, not NOAA numbers.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from skymill.swan_sf.schema import FOLDERS

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
_NEW = re.compile(
    r"(?:(?P<letter>[ABCMX])(?P<size>\d+(?:\.\d+)?)@(?P<flare>\d{1,18})(?::(?P<event>[A-Za-z]+))?"
    rf"|(?:FQ|NF|N))_ar(?P<harp>\d{{1,9}})_s(?P<start>{_TIME})_e(?P<end>{_TIME})\.csv"
)
_OLD = re.compile(
    r"lab\[(?:(?P<letter>[ABCMX])\](?P<size>\d+(?:\.\d+)?)@(?P<flare>\d{1,18})"
    r"(?::(?P<event>[A-Za-z]+))?|(?:FQ|NF|N)\])"
    rf"_id\[(?P<harp>\d{{1,9}})\]_st\[(?P<start>{_TIME})\]_et\[(?P<end>{_TIME})\]\.csv"
)


@dataclass(frozen=True)
class WindowName:
    """The parts of a window's name.

    Attributes
    ----------
    harp
        HARP number.
    start, end
        Times of the first and the last step, seconds since 1970 (TAI).
    label
        X, M, C, B, or Q: quiet, also before an A flare.
    goes
        The flare's class with its digit, such as M1.0; None if the name has no flare.
    flare_id, event
        The number of this flare, and its role for the window, such as Primary.
    role
        The folder: FL or NF; None for any other folder.
    """

    harp: int
    start: int
    end: int
    label: str
    goes: str | None
    flare_id: int | None
    event: str | None
    role: str | None


def parse_name(member: str) -> WindowName | None:
    """Return the parts of a member's path in a tarball; None if it is no name of a window."""
    folder, _, name = member.rpartition("/")
    match = _NEW.fullmatch(name) or _OLD.fullmatch(name)
    if not match:
        return None
    start, end = _seconds(match["start"]), _seconds(match["end"])
    if start is None or end is None:
        return None
    letter = match["letter"]
    role = folder.rpartition("/")[2]
    return WindowName(
        harp=int(match["harp"]),
        start=start,
        end=end,
        label=letter if letter and letter != "A" else "Q",
        goes=letter and letter + match["size"],
        flare_id=int(match["flare"]) if letter else None,
        event=match["event"],
        role=role if role in FOLDERS else None,
    )


@lru_cache(maxsize=4096)
def _seconds(text: str) -> int | None:
    """Return the seconds since 1970 of a date from 1970 to 2106; None for other texts."""
    try:
        seconds = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    return seconds if 0 <= seconds < 2**32 else None
