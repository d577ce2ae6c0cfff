"""The files of the baseline: scores.json and scores.csv for programs, baseline.md for people."""

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
"""The unit of splits that share no region or group."""
PARTED = {"magnetic": "record", "ztf": "alert"}
"""The unit of splits that may divide a region or group."""

SCORES = ("tss", "hss", "macro_f1")


def described(
    name: str,
    sample: Sample,
    divisions: list[Division],
    left_out: Mapping[str, str],
    rows: list[dict],
) -> dict:
    """Return the entry of a data set in scores.json; see the data dictionary."""
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
    """Count the records of each class in each split of a division."""
    found = {"unit": division.unit, "train_set": division.train_set}
    for split in ("train", "dev", "test"):
        code = sample.code[getattr(division, split)]
        found[split] = {
            label: int((code == number).sum()) for number, label in enumerate(sample.classes)
        }
    return found


def leaks(rows: list[dict], whole: str, parted: str) -> list[dict]:
    """Return how much better each model scores if a split divides regions or groups.

    Parameters
    ----------
    rows
        See trials.run_trials.
    whole, parted
        The two units that are compared.

    Returns
    -------
    model, train, tss_whole, tss_parted and their difference, which is null if a TSS is undefined.
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
    "This page shows the scores of simple models. The nearest neighbour and boosted trees memorise "
    "train: if a test record has a sibling in train, they find the sibling. So their scores rise "
    "if the splits leak. Logistic regression memorises little.",
    "",
    "Compare your own model with the rows whose unit is the unit of your splits. Run "
    "`skymill score` to compute the same scores for your own predictions.",
]


def _section(name: str, data_set: dict) -> list[str]:
    events = ", ".join(map(escaped, data_set["positive"]))
    classes = ", ".join(map(escaped, data_set["classes"]))
    whole, parted = KEPT_WHOLE[name], PARTED[name]
    lines = [f"## {TITLES[name]}", ""]
    lines += [
        f"TSS and HSS score forecasts of events (class {events}). Macro F1 scores forecasts of all "
        f"classes ({classes}). Set `baseline.positive` to change the classes that are events.",
        "",
    ]
    header = ["unit", "train", "model", "TSS (90 % interval)", "HSS", "macro F1"]
    header += [f"{GROUPS[name]} in test", f"{ITEMS[name]} in test"]
    rows = [_row(row) for row in data_set["scores"]]
    lines += [markdown_table(header, rows), ""]
    if data_set["leaks"]:
        lines += [
            f"**The leak as a number**: TSS with splits by {parted}, minus TSS with splits by "
            f"{whole}. With splits by {whole}, no {whole} is in two splits.",
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
    """Return notes on the table."""
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
                f"Scores with fewer than {FEWEST_REGIONS} are not reliable."
            )
        if test["absent_classes"]:
            absent = ", ".join(map(escaped, test["absent_classes"]))
            notes.append(f"unit {unit}: test has no {absent}. Macro F1 uses the other classes.")
        if any(row["threshold_from"] == "default" for row in own):
            notes.append(
                f"unit {unit}: the validation split has no events, or only events, so the "
                f"threshold is {DEFAULT_THRESHOLD}."
            )
        undefined = max(row["tss"]["undefined_draws"] for row in own)
        if undefined:
            notes.append(
                f"unit {unit}: TSS is undefined in {undefined:,} of {DRAWS:,} draws, which have no "
                "events or only events. The interval uses the other draws."
            )
    if name == "magnetic":
        notes.append(_persistence(data_set["has_times"]))
    if any(row["train_records"] > NEAREST_RECORDS for row in scored if row["model"] == "nearest"):
        notes.append(
            f"The nearest neighbour searches {NEAREST_RECORDS:,} training records. They are drawn "
            "with the seed, and their classes have approximately the shares of train."
        )
    if any(row["train"] == BEFORE for row in scored):
        notes.append(
            f'"{BEFORE}" is the published order. Copies of the same record are then in several '
            "splits, also in test, so all models know the records of test."
        )
    return notes


def _persistence(has_times: bool) -> str:
    if has_times:
        return (
            "Persistence repeats the class of an earlier window of the same HARP: the latest "
            "window whose following 24 hours were over at the time of the forecast. The window "
            "just before does not count, because a forecaster does not know its class yet. Without "
            "an earlier window, persistence forecasts like climatology."
        )
    return (
        "There is no persistence, because the files of 2020 have no times: the order of the "
        "records is unknown. Set `magnetic.input: swan_sf` to include persistence."
    )


_DEFINITIONS = [
    "- TSS = hits / (hits + misses) - false alarms / (false alarms + correct rejections). TSS does "
    "not depend on the ratio of the classes (Woodcock 1976, Mon. Wea. Rev. 104, 1209; Bloomfield "
    "et al. 2012, ApJL 747, L41).",
    "- HSS is HSS2 of Bobra and Couvidat (2015, ApJ 798, 135): 2 (hits x correct rejections - "
    "misses x false alarms) / (P (misses + correct rejections) + N (hits + false alarms)), with P "
    "events and N other records.",
    "- Macro F1 is the mean of F1 over the classes of test.",
    "- A score is undefined if test has no events, or only events. An undefined score never counts "
    "as 0.",
    "- The threshold of each model has the largest TSS on the validation split. Test is not used.",
    f"- The interval contains nine tenths of {DRAWS:,} draws with replacement. A draw consists of "
    "whole regions (for stamps: groups of objects). Records of a region are similar, so draws of "
    "single records would make the interval too narrow.",
    "- The models see statistics. The statistics of each parameter of a record are mean, "
    "deviation, minimum, maximum, median, first, last, slope and the share of missing steps. The "
    "statistics of each cutout are flux, mean, deviation, minimum, maximum, median, centre, centre "
    "minus ring, concentration and the share of missing pixels. Missing statistics are replaced by "
    "the median of train. All statistics are scaled by the mean and deviation of train.",
    "- Climatology forecasts the shares of the classes in train for every record.",
    "- This page does not use the splits of the data sets. It draws new splits from the clean "
    "records, by the rules of `split` and `ztf.split` and with the seed of the configuration.",
]
