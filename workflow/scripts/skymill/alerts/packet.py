"""The fields that are read from an alert packet: their paths and slots.

Source: the schemas of the ZTF alert archive (github.com/ZwickyTransientFacility/ztf-avro-alert).
"""

CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
"""The three images of an alert, in the order of the stamps."""

TEXTS = ("objectId", "schemavsn", "candidate.isdiffpos")
CANDIDS = ("candid", "candidate.candid")
"""Paths of the candid; the first that is present counts. ALeRCE's packets have the candid only in
`candidate`."""
INTEGERS = (*CANDIDS, "candidate.fid", "candidate.programid", "candidate.field")
REALS = (
    "candidate.jd",
    "candidate.ra",
    "candidate.dec",
    "candidate.rb",
    "candidate.drb",
    "candidate.magpsf",
    "candidate.xpos",
    "candidate.ypos",
)
IMAGES = tuple(f"{cutout}.stampData" for cutout in CUTOUTS)

FIELDS = TEXTS + INTEGERS + REALS + IMAGES
"""Paths of the fields that are read; the index of a path is its slot."""

SLOTS = {path: slot for slot, path in enumerate(FIELDS)}

OPTIONAL = frozenset(
    {
        *("schemavsn", *CANDIDS),
        *(f"candidate.{name}" for name in ("field", "rb", "drb", "xpos", "ypos")),
    }
)
"""Fields that may be missing in a schema and that may be null: drb was added in schema 3.3."""

OBJECT_ID_BYTES = 64
"""Longest object id; ZTF's have 12 letters."""

VERSION_BYTES = 16
"""Longest schema version that is kept."""

STAMP = 63
"""Rows and columns of a regular stamp."""
