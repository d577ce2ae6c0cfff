"""`skymill score FILE`: what a user's own predictions score, in words."""

from skymill.baseline.predictions import Verdict
from skymill.baseline.report import SIMULATED
from skymill.baseline.scores import DRAWS
from skymill.magnetic.splits import FEWEST_REGIONS


def as_text(verdict: Verdict) -> str:
    """Return a verdict as a table."""
    found = verdict.evaluation
    events = ", ".join(verdict.positive)
    lines = [SIMULATED, ""] if verdict.source == "sample" else []
    lines.append(
        f"{verdict.data_set}, split {verdict.split}: {found.records:,} rows of {found.groups:,} "
        f"groups; {found.events:,} events (class {events}) of {found.event_groups:,} groups"
    )
    if verdict.threshold is None:
        lines.append("forecast of an event: the predicted class")
    else:
        origin = {"dev": "chosen on the validation split for the largest TSS", "given": "given"}
        lines.append(
            f"forecast of an event: probability from {verdict.threshold:.6g} on, "
            f"{origin[verdict.threshold_from]}"
        )
    hits, misses, alarms, rejections = found.counts
    lines += [
        f"hits {hits:,}, misses {misses:,}, false alarms {alarms:,}, correct rejections "
        f"{rejections:,}",
        "",
        "score     value (90 % interval, drawn by groups)",
        f"TSS       {found.tss}",
        f"HSS       {found.hss}",
        f"macro F1  {found.f1 or 'not given: it needs a column label'}",
    ]
    notes = []
    if found.tss.value is None:
        notes.append("TSS and HSS are undefined without an event, or with nothing but events.")
    elif found.tss.undefined_draws:
        notes.append(
            f"TSS is undefined in {found.tss.undefined_draws:,} of {DRAWS:,} draws. The interval "
            "is of the others."
        )
    if found.event_groups < FEWEST_REGIONS:
        notes.append(f"Fewer than {FEWEST_REGIONS} groups have events: the scores say little.")
    if found.f1 and found.absent:
        notes.append(f"Macro F1 is without {', '.join(found.absent)}, which the split lacks.")
    return "\n".join([*lines, *([""] if notes else []), *notes])
