"""The baseline as files: scores.json and scores.csv for programs, baseline.md for people."""

import csv
import io
from collections.abc import Mapping

from skymill.baseline.divisions import AUGMENTED, BEFORE, CLEAN, Division
from skymill.baseline.models import CLIMATOLOGY, MODELS, NEAREST_RECORDS, PERSISTENCE
from skymill.baseline.scores import DIGITS, DRAWS, Score
from skymill.baseline.trials import DEFAULT_THRESHOLD, Sample
from skymill.engine.markdown import escaped, markdown_table
from skymill.magnetic.splits import FEWEST_REGIONS

SIMULATED = "SIMULATED DATA: these numbers mean nothing about the Sun or the sky."

NAMES = {
    "nearest": "1-nearest neighbour",
    "trees": "boosted trees",
    "logistic": "logistic regression",
    CLIMATOLOGY: "climatology",
    PERSISTENCE: "persistence",
}

TITLES = {"magnetic": "Magnetic records", "ztf": "Stamps of ZTF"}
GROUPS = {"magnetic": "regions", "ztf": "groups of objects"}
ITEMS = {"magnetic": "records", "ztf": "alerts"}
KEPT_WHOLE = {"magnetic": "region", "ztf": "group"}
"""The unit whose splits share nothing, and the one that parts what belongs together."""
PARTED = {"magnetic": "record", "ztf": "alert"}

MEMORISING = ("nearest", "trees")

SCORES = ("tss", "hss", "macro_f1")


def described(
    name: str,
    sample: Sample,
    divisions: list[Division],
    left_out: Mapping[str, str],
    rows: list[dict],
) -> dict:
    """Return the part of scores.json of one data set: see the data dictionary."""
    return {
        "classes": list(sample.classes),
        "positive": list(sample.positive),
        "has_times": sample.known is not None,
        "divisions": [_counts(sample, division) for division in divisions],
        "units_left_out": dict(left_out),
        "scores": rows,
        "leaks": leaks(rows, KEPT_WHOLE[name], PARTED[name]),
    }


def _counts(sample: Sample, division: Division) -> dict:
    """Return how many records of each class are in each split of a division."""
    found = {"unit": division.unit, "train_set": division.train_set}
    for split in ("train", "dev", "test"):
        code = sample.code[getattr(division, split)]
        found[split] = {
            label: int((code == number).sum()) for number, label in enumerate(sample.classes)
        }
    return found


def leaks(rows: list[dict], whole: str, parted: str) -> list[dict]:
    """Return how much better each model scores where the split parts what belongs together.

    Parameters
    ----------
    rows
        See trials.run_trials.
    whole, parted
        The two units that are compared.

    Returns
    -------
    model, train, tss_whole, tss_parted and their difference: null where one of them is undefined.
    """
    value = {
        (row["unit"], row["train"], row["model"]): row["tss"]["value"]
        for row in rows
        if row.get("tss")
    }
    found = []
    for train in (CLEAN, AUGMENTED):
        for model in MODELS:
            pair = [value.get((unit, train, model)) for unit in (whole, parted)]
            if all(one is None for one in pair):
                continue
            difference = None if None in pair else round(pair[1] - pair[0], DIGITS) + 0.0
            found.append(
                {
                    "model": model,
                    "train": train,
                    "tss_whole": pair[0],
                    "tss_parted": pair[1],
                    "difference": difference,
                }
            )
    return found


def csv_text(content: dict) -> str:
    """Return scores.csv: a row for each score of each data set."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = [f"{name}{end}" for name in SCORES for end in ("", "_low", "_high", "_undefined_draws")]
    columns = ("unit", "train", "model", "threshold", "threshold_from")
    test = ("records", "groups", "events", "groups_with_events")
    writer.writerow(
        [
            "data_set",
            *columns,
            *parts,
            "train_records",
            *(f"test_{name}" for name in test),
            "reason",
        ]
    )
    for name, data_set in content["data_sets"].items():
        for row in data_set["scores"]:
            scores = []
            for score in SCORES:
                found = row.get(score) or {}
                scores += [found.get(key) for key in ("value", "low", "high", "undefined_draws")]
            writer.writerow(
                [
                    name,
                    *(row.get(key) for key in columns),
                    *scores,
                    row["train_records"],
                    *(row.get("test", {}).get(key) for key in test),
                    row.get("reason"),
                ]
            )
    return stream.getvalue()


def page(content: dict) -> str:
    """Return baseline.md."""
    lines = [SIMULATED, ""] if content["source"] == "sample" else []
    lines += ["# Baseline", "", *_INTRODUCTION, ""]
    for name, data_set in content["data_sets"].items():
        lines += _section(name, data_set)
    lines += ["## Definitions", "", *_DEFINITIONS]
    return "\n".join(lines) + "\n"


_INTRODUCTION = [
    "What simple models score. The nearest neighbour and boosted trees memorise: where a test "
    "record has a sibling in train, they find the sibling. So their scores rise where the splits "
    "leak. Logistic regression memorises little.",
    "",
    "Compare your own model with the rows of the unit that your splits have. `skymill score` gives "
    "the same scores for your own predictions.",
]


def _section(name: str, data_set: dict) -> list[str]:
    events = ", ".join(map(escaped, data_set["positive"]))
    classes = ", ".join(map(escaped, data_set["classes"]))
    whole, parted = KEPT_WHOLE[name], PARTED[name]
    lines = [f"## {TITLES[name]}", ""]
    lines += [
        f"TSS and HSS are of events (class {events}) against the rest; macro F1 is of all classes "
        f"({classes}). `baseline.positive` changes the events.",
        "",
    ]
    header = ["unit", "train", "model", "TSS (90 % interval)", "HSS", "macro F1"]
    header += [f"{GROUPS[name]} in test", f"{ITEMS[name]} in test"]
    rows = [_row(row) for row in data_set["scores"]]
    lines += [markdown_table(header, rows), ""]
    if data_set["leaks"]:
        lines += [
            f"**The leak as a number**: TSS with splits by {parted}, less TSS with splits by "
            f"{whole}. With splits by {whole} no {whole} is in two splits.",
            "",
            markdown_table(
                ["train", "model", f"TSS, {parted}", f"TSS, {whole}", "difference"],
                [
                    [row["train"], NAMES[row["model"]]]
                    + [_plain(row[key]) for key in ("tss_parted", "tss_whole", "difference")]
                    for row in data_set["leaks"]
                ],
            ),
            "",
        ]
    notes = _notes(name, data_set)
    return [*lines, *(f"- {note}" for note in notes), *([""] if notes else [])]


def _row(row: dict) -> list:
    start = [row["unit"], row["train"], NAMES[row["model"]]]
    if "reason" in row:
        return [*start, "undefined", "undefined", "undefined", "-", "-"]
    shown = [str(Score(**row[name])) for name in SCORES]
    shown[1:] = [text.partition(" (")[0] for text in shown[1:]]
    return [*start, *shown, row["test"]["groups"], row["test"]["records"]]


def _plain(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _notes(name: str, data_set: dict) -> list[str]:
    """Return what a reader of the table has to know."""
    notes = [
        f"unit {unit} is left out: {escaped(why)}"
        for unit, why in data_set["units_left_out"].items()
    ]
    notes += sorted({row["reason"] for row in data_set["scores"] if "reason" in row})
    scored = [row for row in data_set["scores"] if "test" in row]
    for unit in dict.fromkeys(row["unit"] for row in scored):
        own = [row for row in scored if row["unit"] == unit]
        test = own[0]["test"]
        if test["groups_with_events"] < FEWEST_REGIONS:
            notes.append(
                f"unit {unit}: {GROUPS[name]} with events in test: {test['groups_with_events']}. "
                f"Scores on fewer than {FEWEST_REGIONS} say little."
            )
        if test["absent_classes"]:
            absent = ", ".join(map(escaped, test["absent_classes"]))
            notes.append(f"unit {unit}: test has no {absent}; macro F1 is of the other classes.")
        if any(row["threshold_from"] == "default" for row in own):
            notes.append(
                f"unit {unit}: the validation split has no event, or nothing but events, so the "
                f"threshold is {DEFAULT_THRESHOLD}."
            )
        undefined = max(row["tss"]["undefined_draws"] for row in own)
        if undefined:
            notes.append(
                f"unit {unit}: TSS is undefined in {undefined:,} of {DRAWS:,} draws, which have no "
                "event or nothing else. The interval is of the others."
            )
    if name == "magnetic":
        notes.append(_persistence(data_set["has_times"]))
    if any(row["train_records"] > NEAREST_RECORDS for row in scored if row["model"] == "nearest"):
        notes.append(
            f"The nearest neighbour is searched among {NEAREST_RECORDS:,} training records: a "
            "seeded draw, in which the classes have about their shares in train."
        )
    if any(row["train"] == BEFORE for row in scored):
        notes.append(
            f'"{BEFORE}": the published order. Copies of one record are then in several splits, '
            "test has copies as well, and all models know its records."
        )
    return notes


def _persistence(has_times: bool) -> str:
    if has_times:
        return (
            "Persistence repeats the class of the latest window of the same HARP whose 24 hours "
            "were over when the window ended. The window just before does not count: a forecaster "
            "does not know its class yet. Where there is no such window, climatology is used."
        )
    return (
        "There is no persistence: the files of 2020 have no times, so no record is known to be "
        "before another. `magnetic.input: swan_sf` has persistence."
    )


_DEFINITIONS = [
    "- TSS = hits / (hits + misses) - false alarms / (false alarms + correct rejections). TSS does "
    "not depend on the ratio of the classes (Woodcock 1976, Mon. Wea. Rev. 104, 1209; Bloomfield "
    "et al. 2012, ApJL 747, L41).",
    "- HSS is HSS2 of Bobra and Couvidat (2015, ApJ 798, 135): 2 (hits x correct rejections - "
    "misses x false alarms) / (P (misses + correct rejections) + N (hits + false alarms)), with P "
    "events and N others.",
    "- Macro F1 is the mean of F1 over the classes that test has.",
    "- A score is undefined where test has no event, or nothing but events. An undefined score is "
    "never counted as 0.",
    "- The threshold of each model has the largest TSS on the validation split. Test is not used.",
    f"- The interval holds nine tenths of {DRAWS:,} draws of whole regions (of stamps: groups of "
    "objects) with replacement. Records of one region are alike, so draws of single records would "
    "give an interval that is too narrow.",
    "- The models see statistics: of each parameter of a record mean, deviation, minimum, maximum, "
    "median, first, last, slope and share of missing steps; of each cutout flux, extremes, centre, "
    "centre less ring and concentration. Missing statistics have the median of train, and all are "
    "scaled by mean and deviation of train.",
    "- Climatology forecasts the classes' shares in train for every record.",
    "- The splits are drawn anew for this page from the clean records, by the rules of `split` and "
    "`ztf.split` and with the seed of the configuration.",
]
