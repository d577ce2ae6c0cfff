"""The check of the plan of pairs: whole groups, and no empty split."""

from skymill.aligned.plan import SPLITS
from skymill.engine.errors import SkymillError


def required_splits(follow_official: bool, fractions: dict[str, float]) -> list[str]:
    """Return the splits that must not be empty: the splits with a share in the settings."""
    shares = {**fractions, "test": 1 if follow_official else fractions["test"]}
    return [name for name in SPLITS if shares.get(name, 1)]


def require_sound(counts: dict, *, follow_official: bool, fractions: dict[str, float]) -> None:
    """Raise SkymillError when a group is in two splits, a split is empty, or a sample is lost.

    Parameters
    ----------
    counts
        The counts from `plan.make_pairs`.
    follow_official, fractions
        Settings of the configuration.
    """
    pairs, others, samples = (counts[name] for name in ("pairs", "without_partner", "samples"))
    if pairs + others != samples:
        raise SkymillError(
            f"{samples:,} samples, but {pairs:,} pairs and {others:,} samples without a partner. "
            "Delete preprocessed/aligned in the results folder and run again."
        )
    if groups := counts["groups_in_two_splits"]:
        raise SkymillError(
            f"{len(groups):,} groups of regions are in two splits; the first is {groups[0]}. The "
            "plan was made with other settings: delete preprocessed/aligned in the results folder "
            "and run again."
        )
    empty = [
        name
        for name in required_splits(follow_official, fractions)
        if not counts["by_split"][name]["pairs"]
    ]
    if empty:
        reasons = ", ".join(
            f"{name} {number:,}" for name, number in counts["without_partner_by_reason"].items()
        )
        raise SkymillError(
            f"of {pairs:,} pairs, none is in {' and '.join(empty)} ({samples:,} samples; without a "
            f"partner: {reasons}). Use more partitions of SWAN-SF or more samples, or change "
            "aligned.follow_official or aligned.split."
        )
