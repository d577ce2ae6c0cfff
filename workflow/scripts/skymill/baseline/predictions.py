"""Score the predictions of a user on a split of a product."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.baseline.scores import Evaluation, best_threshold, evaluate
from skymill.engine.errors import SkymillError
from skymill.engine.tables import read_table
from skymill.engine.words import FEW, counted
from skymill.magnetic.records import FLARES
from skymill.magnetic.schema import LABELS
from skymill.reader.found import FoundProduct, choose
from skymill.sdo.goes import LABELS as SDO_LABELS

POSITION, PROBABILITY, LABEL = "position", "probability", "label"
"""Columns of a file of predictions, in addition to the key of the data set."""

SEED = 2020
"""Seed of the draws of the bootstrap."""


@dataclass(frozen=True)
class Truth:
    """The true classes of the rows of a data set.

    Attributes
    ----------
    key
        The column that identifies a row.
    rows
        The columns `key`, split, label and group, in the order of the product.
    dev
        The name of the validation split.
    classes, positive
        All classes, and the classes that count as events by default.
    source
        sample (simulated), local or archive.
    """

    key: str
    rows: pd.DataFrame
    dev: str
    classes: tuple[str, ...]
    positive: tuple[str, ...]
    source: str

    def of(self, split: str) -> pd.DataFrame:
        """Return the rows of a split."""
        return self.rows[self.rows["split"] == split].reset_index(drop=True)


def _magnetic(results: str | Path) -> Truth:
    product = FoundProduct("magnetic", "records.parquet", results)
    (table,) = product.tables(["record_id", "split", "label", "region"])
    return Truth("record_id", _frame(table, "region"), "dev", LABELS, FLARES, product.source)


def _sdo(results: str | Path) -> Truth:
    parts = []
    for name in ("train", "test"):
        product = FoundProduct("sdo", f"{name}_metadata.csv", results)
        (content,) = product.contents()
        index = pd.read_csv(io.BytesIO(content), dtype={"ar_num": str, "time_id": str})
        index["sample_id"] = index["ar_num"] + "_" + index["time_id"]
        parts.append(index[["sample_id", "split", "label", "group"]])
    rows = pd.concat(parts, ignore_index=True)
    return Truth("sample_id", rows, "validation", SDO_LABELS, FLARES, product.source)


def _aligned(results: str | Path) -> Truth:
    parts = []
    for split in ("train", "validation", "test"):
        product = FoundProduct("aligned", split, results)
        for table in product.tables(["sample_id", "label", "group"]):
            parts.append(_frame(table, "group").assign(split=split))
    rows = pd.concat(parts, ignore_index=True)
    return Truth("sample_id", rows, "validation", SDO_LABELS, FLARES, product.source)


def _ztf(results: str | Path) -> Truth:
    product = FoundProduct("ztf", "stamps.parquet", results)
    (table,) = product.tables(["candid", "split", "label", "group"])
    rows = _frame(table, "group")
    classes = tuple(sorted(rows["label"].unique()))
    positive = ("YSO",) if "YSO" in classes else classes[:1]
    return Truth("candid", rows, "validation", classes, positive, product.source)


def _frame(table: pa.Table, group: str) -> pd.DataFrame:
    frame = table.to_pandas().rename(columns={group: "group"})
    for name in {"split", "label"} & {*frame.columns}:
        frame[name] = frame[name].astype(object)
    return frame


TRUTHS = {"magnetic": _magnetic, "sdo": _sdo, "aligned": _aligned, "ztf": _ztf}
"""Functions that read the true classes of each data set."""


@dataclass(frozen=True)
class Verdict:
    """The scores of predictions.

    Attributes
    ----------
    data_set, split, positive, source
        The data set, its split, the classes that are events, and the source of the data.
    evaluation
        See scores.Evaluation.
    threshold
        The smallest probability that forecasts an event; None if classes were predicted.
    threshold_from
        The origin of the threshold: `dev`, `given`, or `classes` without a threshold.
    """

    data_set: str
    split: str
    positive: tuple[str, ...]
    source: str
    evaluation: Evaluation
    threshold: float | None
    threshold_from: str

    def described(self) -> dict:
        """Return the verdict for programs."""
        return {
            "data_set": self.data_set,
            "split": self.split,
            "positive": list(self.positive),
            "source": self.source,
            "threshold": self.threshold,
            "threshold_from": self.threshold_from,
            **self.evaluation.described(),
        }


def score_predictions(
    predictions: Path,
    results: str | Path,
    *,
    data_set: str = "magnetic",
    split: str = "test",
    dev: Path | None = None,
    threshold: float | None = None,
    positive: tuple[str, ...] | None = None,
) -> Verdict:
    """Score a file of predictions.

    Parameters
    ----------
    predictions
        CSV or Parquet with a row for each row of the split. The columns are the key (`record_id`,
        `sample_id` or `candid`) or `position` (the place in the split, from 0), and `probability`
        of an event, `label` (the class), or both.
    results
        The results folder, or a folder of products that was copied from a results folder.
    dev
        Predictions of the validation split, which decide the threshold. They may also be in
        `predictions`.
    threshold
        A threshold that was chosen before. Then dev is not needed.
    positive
        The classes that are events.

    Raises
    ------
    SkymillError
        If a row of the split is missing, if a row is unknown, repeated or in another split, if a
        value is invalid, or if there is no threshold. The message names the first such rows.
    """
    truth = TRUTHS[choose(data_set, tuple(TRUTHS), "data set")](results)
    known = tuple(truth.rows["split"].unique())
    choose(split, known, f"split of {data_set} with rows")
    wanted = truth.of(split)
    if not wanted["label"].isin(truth.classes).all():
        raise SkymillError(
            f"the classes of the split {split} are unknown, so it cannot be scored. Use a split "
            "with known classes."
        )
    positive = positive or truth.positive
    for name in positive:
        choose(name, truth.classes, f"class of {data_set}")
    given = _read(predictions, truth)
    both = (split,) if dev or split == truth.dev else (split, truth.dev)
    found = _matched(predictions, given, truth, both, split)
    on_dev = None
    if dev:
        on_dev = _matched(dev, _read(dev, truth), truth, (truth.dev,), truth.dev)[truth.dev]
    elif truth.dev in found and split != truth.dev:
        on_dev = found[truth.dev]
    scored = found[split]
    codes = scored[LABEL].map(truth.classes.index) if LABEL in scored else None
    if PROBABILITY not in scored:
        is_forecast, chosen, origin = scored[LABEL].isin(positive), None, "classes"
    else:
        chosen, origin = _threshold(threshold, on_dev, positive, truth, predictions)
        is_forecast = scored[PROBABILITY] >= chosen
    evaluation = evaluate(
        wanted["label"].map(truth.classes.index).to_numpy(np.int64),
        wanted["group"].to_numpy(),
        truth.classes,
        positive,
        is_forecast=is_forecast.to_numpy(bool),
        forecast_class=None if codes is None else codes.to_numpy(np.int64),
        seed=SEED,
    )
    return Verdict(data_set, split, tuple(positive), truth.source, evaluation, chosen, origin)


def _threshold(
    given: float | None,
    on_dev: pd.DataFrame | None,
    positive: tuple[str, ...],
    truth: Truth,
    path: Path,
) -> tuple[float, str]:
    """Return the threshold, and where it comes from."""
    if given is not None:
        if not 0 <= given <= 1:
            raise SkymillError(f"the threshold {given} is not a probability. Set it from 0 to 1.")
        return given, "given"
    if on_dev is None or PROBABILITY not in on_dev:
        raise SkymillError(
            f"{path} has probabilities. The threshold must come from the split {truth.dev}, not "
            f"from the split that is scored. Add the predictions of {truth.dev} to the file, name "
            "a second file with --dev, or set --threshold."
        )
    is_event = truth.of(truth.dev)["label"].isin(positive).to_numpy(bool)
    chosen = best_threshold(is_event, on_dev[PROBABILITY].to_numpy(np.float64))
    if chosen is None:
        raise SkymillError(
            f"the split {truth.dev} has no records of class {', '.join(positive)}, or only such "
            "records, so it cannot decide a threshold. Set --threshold."
        )
    return chosen, "dev"


def _read(path: Path, truth: Truth) -> pd.DataFrame:
    """Return the columns of a file of predictions that are used, and check their values."""
    path = Path(path)
    if not path.is_file():
        raise SkymillError(f"{path} does not exist or is not a file.")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            frame = read_table(path).to_pandas()
        except SkymillError as error:
            # The advice of this error is for products, but the user wrote this file.
            raise SkymillError(
                f"{path} cannot be read as Parquet: {error.__cause__}. Write the file again."
            ) from error
    else:
        try:
            # Read as texts, so a message can quote an invalid number.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (ValueError, UnicodeError) as error:
            raise SkymillError(f"{path} cannot be read as CSV: {error}") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise SkymillError(f"{path} has the column {twice} more than once.")
    place = [name for name in (truth.key, POSITION) if name in frame]
    if len(place) != 1:
        raise SkymillError(
            f"{path} needs one column that identifies the rows: {truth.key}, or {POSITION} (from "
            f"0, in the order of the split). The columns are {', '.join(frame.columns)}."
        )
    if not {PROBABILITY, LABEL} & {*frame.columns}:
        raise SkymillError(
            f"{path} needs a column {PROBABILITY} (of an event, 0 to 1) or {LABEL} (the class), or "
            f"both. The columns are {', '.join(frame.columns)}."
        )
    columns = {place[0]: _keys(path, frame[place[0]], place[0])}
    if PROBABILITY in frame:
        columns[PROBABILITY] = _probabilities(path, frame[PROBABILITY])
    if LABEL in frame:
        wrong = frame[LABEL][~frame[LABEL].astype(object).isin(truth.classes)]
        if len(wrong):
            raise SkymillError(
                f"{path}: {counted(len(wrong), 'row')} without a class of the data set. The first "
                f"is row {wrong.index[0] + 1} ({wrong.iloc[0]!r}). The classes are "
                f"{', '.join(truth.classes)}."
            )
        columns[LABEL] = frame[LABEL].astype(object)
    return pd.DataFrame(columns)


def _keys(path: Path, column: pd.Series, name: str) -> pd.Series:
    """Return the keys of rows: texts for sample_id, else whole numbers."""
    if name == "sample_id":
        return column.astype(object)
    numbers = []
    for row, value in enumerate(column.tolist(), start=1):
        try:
            # int() of the text, because a candid has more digits than a float.
            number = int(value)
            is_whole = not isinstance(value, float) or number == value
        except (TypeError, ValueError, OverflowError):
            is_whole = False
        if not is_whole or abs(number) >= 2**63:
            raise SkymillError(f"{path}, row {row}: {name} is {value!r}, not a whole number.")
        numbers.append(number)
    return pd.Series(numbers, dtype=np.int64)


def _probabilities(path: Path, column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    wrong = np.flatnonzero(~numbers.between(0, 1).to_numpy())
    if len(wrong):
        value = column.iloc[wrong[0]]
        what = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
        raise SkymillError(
            f"{path}: {len(wrong):,} of {len(column):,} probabilities are not numbers from 0 to "
            f"1. The first is in row {wrong[0] + 1} ({what})."
        )
    return numbers


def _matched(
    path: Path, given: pd.DataFrame, truth: Truth, allowed: tuple[str, ...], split: str
) -> dict[str, pd.DataFrame]:
    """Return the predictions of each split in the file, in the order of the product.

    Parameters
    ----------
    allowed
        The splits whose rows may be in the file. All rows of `split` must be in the file.
    """
    if POSITION in given:
        rows = truth.of(split)
        given = given.assign(split=split)
        outside = given[POSITION][~given[POSITION].between(0, len(rows) - 1)]
        if len(outside):
            raise SkymillError(
                f"{path}: {_few(outside)} is not a position in the split {split}. Its "
                f"{len(rows):,} rows have positions from 0."
            )
        key, expected = POSITION, {split: pd.Series(np.arange(len(rows)))}
    else:
        key = truth.key
        # Ids of the magnetic test file start at 0 again, so only the allowed splits are searched.
        inside = truth.rows[truth.rows["split"].isin(allowed)]
        others = truth.rows[~truth.rows["split"].isin(allowed)]
        home = pd.Series(inside["split"].to_numpy(), index=inside[key].to_numpy())
        given = given.assign(split=given[key].map(home))
        strange = given[given["split"].isna()]
        if len(strange):
            mixed = others[others[key].isin(strange[key])]
            if len(mixed):
                first = mixed.iloc[0]
                raise SkymillError(
                    f"{path} has rows of other splits: {key} {first[key]} is in "
                    f"{first['split']}. Keep only the rows of {' and '.join(allowed)}."
                )
            raise SkymillError(
                f"{path} has {counted(len(strange), 'row')} with an unknown {key}, such as "
                f"{_few(strange[key])}. Check whether they come from another results folder."
            )
        expected = {name: inside[inside["split"] == name][key] for name in allowed}
    repeated = given[key][given.duplicated(key)]
    if len(repeated):
        raise SkymillError(f"{path} has {key} {_few(repeated)} more than once. Keep each row once.")
    found = {}
    for name, keys in expected.items():
        mine = given[given["split"] == name].set_index(key)
        if name != split and mine.empty:
            continue
        missing = keys[~keys.isin(mine.index)]
        if len(missing):
            raise SkymillError(
                f"{path} lacks {len(missing):,} of the {len(keys):,} rows of {name}, such as {key} "
                f"{_few(missing)}. A score needs all rows of a split."
            )
        found[name] = mine.loc[keys.to_numpy()].reset_index()
    return found


def _few(values: pd.Series) -> str:
    return ", ".join(map(str, values.unique()[:FEW]))
