"""The gate behind the catalogue of a partition: how much may be lost before a run gives up."""

from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError

SHOWN = 5
"""How many of the losses a message shows."""

REJECTED = "limits.max_rejected_windows_fraction"
DIFFERING = "limits.max_differing_steps_fraction"


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the limits that do not hold.

    `counts` are those of `catalogue`, `limits` those of the configuration.
    """
    met = {REJECTED: ("rejected", "windows"), DIFFERING: ("differing_steps", "steps")}
    return [
        name
        for name, (bad, of) in met.items()
        if counts[bad] > limits[name.partition(".")[2]] * counts[of]
    ]


def require_accepted(
    partition: str, counts: dict, broken_off: str | None, quarantine: Path, limits: dict
) -> None:
    """Raise SkymillError, naming the first losses, when a partition lost too much.

    Parameters
    ----------
    partition
        One of schema.PARTITIONS.
    counts, broken_off, quarantine
        What `catalogue` found.
    limits
        `limits` of the configuration.
    """
    name = f"{partition}_instances.tar.gz"
    advice = (
        f"Fetch or copy {name} again; a run with `source: {{swan_sf: local}}` does without a "
        "partition that is not there."
    )
    if broken_off:
        raise SkymillError(
            f"{name} is not whole: {broken_off}. {counts['windows']:,} windows stand before that. "
            f"{advice}"
        )
    if not counts["valid"]:
        raise SkymillError(
            f"{name} holds no valid window ({counts['rejected']:,} rejected, "
            f"{counts['ignored_members']:,} files that are no CSV).{_first(quarantine)}\n{advice}"
        )
    for setting in exceeded(counts, limits):
        if setting == REJECTED:
            bad, met, what = counts["rejected"], counts["windows"], "windows are rejected"
        else:
            bad, met = counts["differing_steps"], counts["steps"]
            what = "steps have different values in different windows"
        allowed = limits[setting.partition(".")[2]]
        raise SkymillError(
            f"{name}: {bad:,} of {met:,} {what} ({bad / met:.2%}, allowed {allowed:.2%})."
            f"{_first(quarantine)}\nAll of them stand in {quarantine}. {advice} Or raise {setting} "
            "if that many are expected."
        )


def _first(quarantine: Path) -> str:
    with open(quarantine, encoding="utf-8") as stream:
        return "".join(f"\n  {line.rstrip()}" for line in islice(stream, SHOWN))
