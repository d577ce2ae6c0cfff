"""Models and references whose scores are compared.

Two models memorise: the nearest neighbour and boosted trees. If a test record has a sibling in
train, they find the sibling, so a leak raises their scores. A logistic model cannot memorise.
Only the functions that fit a model import scikit-learn, so code that reads scores does not need it.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from skymill.engine.parallel import keep_freed_memory
from skymill.engine.randomness import key, smallest

MODELS = ("nearest", "trees", "logistic")
"""1-nearest neighbour, histogram gradient boosting, logistic regression with balanced classes."""

CLIMATOLOGY, PERSISTENCE = "climatology", "persistence"
"""References that use no measurements: the shares of the classes in train; the last known class."""

NEAREST_RECORDS = 20_000
"""Number of training records that the nearest neighbour searches. They are drawn with the seed, and
their classes have approximately the shares of train. All records would take hours at full size."""

ITERATIONS = 300
"""Largest number of iterations of the logistic model. The model is compared, not tuned: after so
many iterations the scores hardly change, even if the model has not converged."""


@dataclass(frozen=True)
class Forecast:
    """The forecasts of a model for some records.

    Attributes
    ----------
    score
        A larger score means a more likely event: float64, shape (records,).
    code
        The forecast class, by its place among the classes: int64, shape (records,).
    """

    score: np.ndarray
    code: np.ndarray


class NothingToLearn(Exception):
    """Raised if train has no records, no events, or only events."""


def forecast(
    name: str,
    train: np.ndarray,
    code: np.ndarray,
    others: list[np.ndarray],
    positive: np.ndarray,
    seed: int,
) -> list[Forecast]:
    """Fit a model to train and return its forecasts of other records.

    One model forecasts events and another model forecasts classes, as forecasters do. Only one
    thread computes, because sums would depend on the number of threads.

    Parameters
    ----------
    name
        One of MODELS.
    train, code
        float32 (records, statistics), and the class of each record, int64.
    others
        Arrays of more records, in the form of `train`.
    positive
        The codes of the classes that are events.
    seed
        The seed that draws the records of the nearest neighbour.

    Raises
    ------
    NothingToLearn
        If train has only events, no events, or no records.
    """
    from threadpoolctl import threadpool_limits

    is_event = np.isin(code, positive)
    if len(np.unique(is_event)) < 2:
        raise NothingToLearn
    if name == "nearest":
        chosen = _drawn(len(code), seed)
        train, code = train[chosen], code[chosen]
    # Trees need a megabyte for each node, and free it again.
    keep_freed_memory()
    scale = Scale.of(train)
    train, others = scale.apply(train), [scale.apply(part) for part in others]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")
        if name == "nearest":
            model = _nearest().fit(train, code)
            codes = [_asked(model.predict, part).astype(np.int64) for part in others]
            return [Forecast(np.isin(one, positive).astype(np.float64), one) for one in codes]
        make = {"trees": _trees, "logistic": _logistic}[name]
        of_events = make().fit(train, is_event)
        of_classes = make().fit(train, code)
        return [
            Forecast(
                _asked(lambda rows: of_events.predict_proba(rows)[:, 1], part),
                _asked(of_classes.predict, part).astype(np.int64),
            )
            for part in others
        ]


def _asked(predict, rows: np.ndarray) -> np.ndarray:
    """Return the predictions for rows. scikit-learn does not accept an empty array."""
    return predict(rows) if len(rows) else np.empty(0)


def _drawn(records: int, seed: int) -> np.ndarray:
    """Return the rows of the training records of the nearest neighbour, ascending."""
    rows = np.arange(records, dtype=np.int64)
    return smallest(rows, NEAREST_RECORDS, key(seed, "baseline", "nearest"))


def _nearest():
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(1, algorithm="brute")


def _trees():
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Early stopping would draw single records to hold out, and records of a region are similar.
    return HistGradientBoostingClassifier(early_stopping=False, random_state=0)


def _logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(class_weight="balanced", max_iter=ITERATIONS)


@dataclass(frozen=True)
class Scale:
    """Fill and scale statistics. Only train decides the values, so test records do not leak.

    Attributes
    ----------
    median, mean, deviation
        float32 for each column of train; mean and deviation are measured after filling.
    """

    median: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, train: np.ndarray) -> "Scale":
        """Measure the columns of train. A column without any value is filled with 0."""
        median = np.zeros(train.shape[1], dtype=np.float32)
        mean, deviation = np.zeros((2, train.shape[1]))
        # Column by column, because NumPy would copy the whole array.
        for place, column in enumerate(train.T):
            known = column[~np.isnan(column)]
            if len(known):
                median[place] = np.median(known)
            filled = np.where(np.isnan(column), median[place], column).astype(np.float64)
            mean[place], deviation[place] = filled.mean(), filled.std()
        deviation[deviation == 0] = 1
        return cls(median, mean, deviation)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Return rows filled and scaled, float32."""
        filled = np.where(np.isnan(rows), self.median, rows)
        return ((filled - self.mean) / self.deviation).astype(np.float32)


def climatology(code: np.ndarray, records: int, positive: np.ndarray) -> Forecast:
    """Return the forecast that knows only the shares of the classes in train.

    The forecast is the same for all records. `code` are the classes of train, int64.

    Raises
    ------
    NothingToLearn
        If train has no records.
    """
    if not len(code):
        raise NothingToLearn
    shares = np.bincount(code) / len(code)
    event = float(shares[positive[positive < len(shares)]].sum())
    return Forecast(np.full(records, event), np.full(records, int(shares.argmax())))


DAY = 86_400
"""Seconds of a day. The label of a window is the strongest flare in the day after the window."""


def last_known(series: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return for each record the row of the label that a forecaster knew last, or -1: int64.

    The label belongs to the latest window of the same series whose following day was over when the
    window of the record ended. The window just before does not count: its day is not over yet.

    Parameters
    ----------
    series
        The series of each window, such as its HARP, int64, shape (records,).
    end
        The end of each window in seconds, int64, from 0 to 2^40.
    """
    _, number = np.unique(series, return_inverse=True)
    place = (number.astype(np.int64) << 41) + end
    order = np.argsort(place, kind="stable")
    before = np.searchsorted(place[order], place - DAY, side="right") - 1
    found = order[np.maximum(before, 0)]
    return np.where((before >= 0) & (number[found] == number), found, -1)


def persistence(
    known: np.ndarray, code: np.ndarray, otherwise: Forecast, positive: np.ndarray
) -> Forecast:
    """Return the forecast that repeats the class that was last known; see last_known.

    Parameters
    ----------
    known
        For each record to forecast, the row of the label that was last known, or -1.
    code
        The classes of all rows.
    otherwise
        The forecast of records without a known label.
    """
    there = known >= 0
    last = code[np.maximum(known, 0)]
    score = np.where(there, np.isin(last, positive).astype(np.float64), otherwise.score)
    return Forecast(score, np.where(there, last, otherwise.code))
