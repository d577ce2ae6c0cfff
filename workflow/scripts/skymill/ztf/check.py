"""The gate behind the extraction: too many corrupt packets, or an archive that is not whole."""

import json
from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError

CORRUPT = ("tar", "avro", "values", "gzip", "jpeg", "fits")
"""Causes for which a packet counts as corrupt."""

OTHER_REASONS = ("unlabelled", "null_cutout", "wrong_shape", "dropped_at_edge")
"""Reasons for which a sound packet is not kept."""

OFFENDERS = 5
"""How many corrupt packets a message shows."""


def lost_too_many(counts: dict, max_corrupt_fraction: float) -> bool:
    """Return whether more of a night's records are corrupt than is allowed."""
    return counts["corrupt"] > max_corrupt_fraction * counts["records"]


def is_cut_short(night: str, document: dict, accept_truncated: list) -> bool:
    """Return whether a night's archive is not whole, and that was not accepted."""
    # YAML reads a bare 20181129 as a number.
    return document["truncated"] and night not in map(str, accept_truncated)


def require_sound(
    night: str,
    manifest: dict,
    quarantine: Path,
    *,
    max_corrupt_fraction: float,
    accept_truncated: list,
) -> None:
    """Raise SkymillError when a night's archive is broken off or holds too many corrupt packets.

    Parameters
    ----------
    night, manifest, quarantine
        The night's name, and what `extract_night` wrote about it.
    max_corrupt_fraction
        Of the night's records, see `limits` in config.yaml.
    accept_truncated
        Nights of which the part that was read is enough.
    """
    counts = manifest["counts"]
    records, corrupt = counts["records"], counts["corrupt"]
    if is_cut_short(night, manifest, accept_truncated):
        raise SkymillError(
            f"the archive of night {night} is not whole: {manifest['broken_off']}. "
            f"{records:,} alerts were read before, {counts['kept']:,} of them kept; how many are "
            "missing cannot be known. Fetch it again, or add the night to ztf.accept_truncated "
            "to go on with what was read."
        )
    if not lost_too_many(counts, max_corrupt_fraction):
        return
    with open(quarantine, encoding="utf-8") as stream:
        lines = (line.rstrip("\n") for line in stream if json.loads(line)["cause"] in CORRUPT)
        first = list(islice(lines, OFFENDERS))
    causes = ", ".join(f"{cause} {count:,}" for cause, count in counts["corrupt_by_cause"].items())
    raise SkymillError(
        f"{corrupt:,} of {records:,} alerts of night {night} are corrupt "
        f"({corrupt / records:.2%}, allowed {max_corrupt_fraction:.2%}): {causes}.\n"
        + "".join(f"  {line}\n" for line in first)
        + f"All of them stand in {quarantine}. Fetch the night again, or raise "
        "limits.max_corrupt_fraction if that many are expected."
    )
