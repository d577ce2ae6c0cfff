"""What is read of an alert packet: the paths of its fields, and the slot of each.

Source: the schemas of the ZTF alert archive (github.com/ZwickyTransientFacility/ztf-avro-alert).
"""

CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
"""The three images of an alert, in the order of the stamps."""

TEXTS = ("objectId", "schemavsn", "candidate.isdiffpos")
CANDIDS = ("candid", "candidate.candid")
"""Where the candid is, the first that is there: ALeRCE's packets have it in `candidate` alone."""
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
"""Paths of the fields that are read; the place of a path is its slot."""

SLOTS = {path: slot for slot, path in enumerate(FIELDS)}

OPTIONAL = frozenset(
    {
        *("schemavsn", *CANDIDS),
        *(f"candidate.{name}" for name in ("field", "rb", "drb", "xpos", "ypos")),
    }
)
"""Fields that a schema may lack and that may be null: drb came with schema 3.3."""

OBJECT_ID_BYTES = 64
"""Longest object id; ZTF's have 12 letters."""

VERSION_BYTES = 16
"""Longest schema version that is kept."""

STAMP = 63
"""Rows and columns of a regular stamp."""
