"""The check of a partition's catalogue: too much lost."""

from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError

SHOWN = 5
"""A message shows so many of the losses."""

REJECTED = "limits.max_rejected_windows_fraction"
DIFFERING = "limits.max_differing_steps_fraction"


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the limits that are exceeded.

    `catalogue` returns the counts. `limits` are the limits of the configuration.
    """
    names = {REJECTED: ("rejected", "windows"), DIFFERING: ("differing_steps", "steps")}
    return [
        name
        for name, (bad, of) in names.items()
        if counts[bad] > limits[name.partition(".")[2]] * counts[of]
    ]


def require_accepted(
    partition: str, counts: dict, broken_off: str | None, quarantine: Path, limits: dict
) -> None:
    """Raise SkymillError when a partition lost too much; the message shows the first losses.

    Parameters
    ----------
    partition
        One of schema.PARTITIONS.
    counts, broken_off, quarantine
        The results of `catalogue`.
    limits
        The `limits` of the configuration.
    """
    name = f"{partition}_instances.tar.gz"
    advice = (
        f"Fetch or copy {name} again. With `source: {{swan_sf: local}}`, a run skips a partition "
        "that is not there."
    )
    if broken_off:
        raise SkymillError(
            f"{name} is not whole: {broken_off}. {counts['windows']:,} windows could be read. "
            f"{advice}"
        )
    if not counts["valid"]:
        raise SkymillError(
            f"{name} contains no valid window ({counts['rejected']:,} rejected, "
            f"{counts['ignored_members']:,} files that are no CSV).{_first(quarantine)}\n{advice}"
        )
    for setting in exceeded(counts, limits):
        if setting == REJECTED:
            bad, total, what = counts["rejected"], counts["windows"], "windows are rejected"
        else:
            bad, total = counts["differing_steps"], counts["steps"]
            what = "steps have different values in different windows"
        allowed = limits[setting.partition(".")[2]]
        raise SkymillError(
            f"{name}: {bad:,} of {total:,} {what} ({bad / total:.2%}, allowed {allowed:.2%})."
            f"{_first(quarantine)}\n{quarantine} lists all of them. {advice} Or raise {setting} "
            "if you expect this loss."
        )


def _first(quarantine: Path) -> str:
    with open(quarantine, encoding="utf-8") as stream:
        return "".join(f"\n  {line.rstrip()}" for line in islice(stream, SHOWN))
