"""The leak in real windows of SWAN-SF: models that memorise lose most skill in splits by region.

The file has statistics of three parameters of 2,698 windows of 243 HARPs: extracted_features.csv of
AzimAhmadzadeh/mvtsdata_toolkit. The file is in the subfolder magnetic/ of SKYMILL_REAL_DATA, or of
`../shared/real` next to the repository. Without the file these tests are skipped.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skymill.baseline.divisions import CLEAN, divide_records
from skymill.baseline.records import KEYS
from skymill.baseline.report import leaks
from skymill.baseline.trials import Sample, run_trials
from skymill.engine.tables import write_table
from skymill.magnetic.schema import LABELS

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
FEATURES = FOLDER / "magnetic" / "extracted_features.csv"

pytestmark = pytest.mark.skipif(
    not FEATURES.is_file(),
    reason=f"no real data: {FEATURES} does not exist (set SKYMILL_REAL_DATA to its folder)",
)

SEEDS = range(5)
"""There are few flaring regions, so the tests compare the mean of several draws."""


@pytest.fixture(scope="module", name="leak")
def _leak(tmp_path_factory):
    """Return for each model the mean TSS by region, by record, and the difference."""
    frame = pd.read_csv(FEATURES, sep="\t")
    harp = frame["id"].to_numpy(np.int64)
    record_id = np.arange(1, len(frame) + 1)
    label = frame["lab"].str[0].where(frame["lab"].isin(["X", "M", "C", "B"]), "Q").to_numpy(object)
    originals = pd.DataFrame(
        {
            "record_id": record_id,
            "partition": "partition3",
            "label": label,
            "region": record_id[np.unique(harp, return_index=True)[1]][
                np.unique(harp, return_inverse=True)[1]
            ],
            "content": [f"{number:016d}".encode() for number in record_id],
        }
    )
    # The variances are the squares of the deviations, and exceed float32.
    names = [name for name in frame.columns[4:] if not name.endswith("_var")]
    keys = pd.DataFrame({"record_id": record_id, "method": "original", "copy": 0})
    path = tmp_path_factory.mktemp("real") / "records.parquet"
    columns = {field.name: pa.array(keys[field.name], type=field.type) for field in KEYS}
    columns |= {name: pa.array(frame[name].to_numpy(np.float32)) for name in names}
    write_table(path, pa.table(columns))
    code = np.array([LABELS.index(name) for name in label])
    sample = Sample(path, LABELS, ("X", "M"), code, originals["region"].to_numpy())
    settings = {
        "augmentation": {},
        "magnetic.quiet_per_flare": None,
        "split.fractions": {"train": 0.6, "dev": 0.2, "test": 0.2},
        "split.partitions": {"partition3": "train"},
    }
    found = []
    for seed in SEEDS:
        divisions, _ = divide_records(originals, keys, {**settings, "seed": seed})
        clean = [one for one in divisions if one.train_set == CLEAN]
        found += [
            entry
            for entry in leaks(run_trials(sample, clean, seed), "region", "record")
            if entry["train"] == CLEAN
        ]
    numbers = pd.DataFrame(found).set_index("model")[["tss_whole", "tss_parted", "difference"]]
    return numbers.astype(float).groupby(level=0).mean()


@pytest.mark.parametrize("model", ["trees", "nearest"])
def test_a_model_that_memorises_loses_skill_if_regions_are_kept_together(leak, model):
    assert leak.loc[model, "tss_parted"] > 0.3
    assert leak.loc[model, "difference"] > 0.1


def test_the_logistic_model_loses_little_skill(leak):
    assert leak.loc["logistic", "tss_whole"] > 0.5
    assert leak.loc["logistic", "difference"] < 0.15
    assert leak.loc["logistic", "difference"] < leak.loc["trees", "difference"]
