"""Simulate the auxiliary table: a CSV with the published layout and the real columns' marginals.

Values are drawn column by column. The only relations between columns are the definitions: groups
with one polarity have no distribution, and groups without penumbra have no spot with a penumbra.
"""

from pathlib import Path

import numpy as np

from skymill.engine.products import new_file
from skymill.engine.randomness import generator, key
from skymill.raw.files import write_sidecar
from skymill.stealth.schema import COLUMNS

MARGINALS = {
    "modified_zurich_class": {"B": 212, "C": 287, "D": 327, "E": 116, "F": 51, "H": 396},
    "largest_spot_size": {"R": 256, "S": 514, "A": 277, "H": 38, "K": 94},
    "spot_distribution": {"O": 627, "I": 312, "C": 54},
    "activity": {"1": 1180, "2": 209},
    "evolution": {"1": 95, "2": 614, "3": 680},
    "previous_24_hour_flare_activity": {"1": 1320, "2": 13, "3": 56},
    "historically_complex": {"1": 839, "2": 550},
    "became_complex_on_this_pass": {"1": 150, "2": 1239},
    "area": {"1": 1353, "2": 36},
    "area_of_largest_spot": {"1": 1145, "2": 244},
    "common_flares": {"0": 1171, "1": 141, "2": 40, "3": 20, "4": 9, "5": 4, "6": 3, "8": 1},
    "moderate_flares": {"0": 1321, "1": 53, "2": 9, "3": 2, "4": 3, "5": 1},
    "severe_flares": {"0": 1377, "1": 11, "2": 1},
}
"""The frequency of each value in the published file, for values that no definition fixes."""

ROWS_PER_BAD_LINE = 200
"""One of so many lines is cut off or has an unknown code. The real file has no such line."""


def write_stealth(raw: Path, *, rows: int, seed: int) -> None:
    """Write a simulated `data.csv` of `rows` lines, and the sidecar that says `sample`."""
    rng = generator(key(seed, "stealth"), 0)
    drawn = {}
    for name, counts in MARGINALS.items():
        share = np.array(list(counts.values())) / sum(counts.values())
        drawn[name] = rng.choice(list(counts), rows, p=share)
    group = drawn["modified_zurich_class"]
    drawn["largest_spot_size"][group == "B"] = "X"
    drawn["spot_distribution"][group == "H"] = "X"
    lines = [list(row) for row in zip(*(drawn[column.name] for column in COLUMNS), strict=True)]
    bad = rng.choice(rows, rows // ROWS_PER_BAD_LINE, replace=False)
    for place, number in enumerate(np.sort(bad)):
        if place % 2:
            lines[number][0] = "Z"
        else:
            del lines[number][-1]
    text = "\n".join(
        [",".join(column.raw_name for column in COLUMNS), *(",".join(line) for line in lines)]
    )
    with new_file(raw) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    write_sidecar(raw, "sample", simulator={"rows": rows, "seed": seed})
