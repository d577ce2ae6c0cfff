"""Models and references whose scores are compared.

Two models memorise: the nearest neighbour and boosted trees. Where a test record has a sibling in
train they find it, so a leak raises their scores. A logistic model cannot memorise. scikit-learn is
imported where a model is fitted: what only reads scores does without it.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from skymill.engine.randomness import key, smallest

MODELS = ("nearest", "trees", "logistic")
"""1-nearest neighbour, histogram gradient boosting, logistic regression with balanced classes."""

CLIMATOLOGY, PERSISTENCE = "climatology", "persistence"
"""References that see no measurement: the classes' shares in train; the class last known."""

NEAREST_RECORDS = 20_000
"""Training records among which the nearest neighbour is searched: a seeded draw, in which the
classes have about their shares in train. All records would take hours at full size."""

ITERATIONS = 300
"""At most so many of the logistic model. It is compared, not tuned: where it has not converged by
then its scores hardly change any more."""


@dataclass(frozen=True)
class Forecast:
    """What a model says of some records.

    Attributes
    ----------
    score
        The larger, the more likely an event: float64, shape (records,).
    code
        The class, by its place among the classes: int64, shape (records,).
    """

    score: np.ndarray
    code: np.ndarray


class NothingToLearn(Exception):
    """Train has no record, no event, or nothing but events."""


def forecast(
    name: str,
    train: np.ndarray,
    code: np.ndarray,
    others: list[np.ndarray],
    positive: np.ndarray,
    seed: int,
) -> list[Forecast]:
    """Fit a model to train and return what it says of other records.

    The events have a model of their own beside that of the classes, as forecasters have it. One
    thread computes: sums of several would depend on how many they are.

    Parameters
    ----------
    name
        One of MODELS.
    train, code
        float32 (records, statistics), and the class of each record, int64.
    others
        More records, as `train`.
    positive
        The codes that are events.
    seed
        Of the draw of the nearest neighbour's records.

    Raises
    ------
    NothingToLearn
        When there is nothing to tell apart in train.
    """
    from threadpoolctl import threadpool_limits

    is_event = np.isin(code, positive)
    if len(np.unique(is_event)) < 2:
        raise NothingToLearn
    if name == "nearest":
        chosen = _drawn(len(code), seed)
        train, code = train[chosen], code[chosen]
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
    """Return what a model says of rows; scikit-learn takes no empty ones."""
    return predict(rows) if len(rows) else np.empty(0)


def _drawn(records: int, seed: int) -> np.ndarray:
    """Return the rows of the nearest neighbour's training records, ascending."""
    rows = np.arange(records, dtype=np.int64)
    return smallest(rows, NEAREST_RECORDS, key(seed, "baseline", "nearest"))


def _nearest():
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(1, algorithm="brute")


def _trees():
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Early stopping would hold records of train out by a draw that knows no regions.
    return HistGradientBoostingClassifier(early_stopping=False, random_state=0)


def _logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(class_weight="balanced", max_iter=ITERATIONS)


@dataclass(frozen=True)
class Scale:
    """How statistics are filled and scaled: by train alone, so that no test record tells anything.

    Attributes
    ----------
    median, mean, deviation
        float32 of each column of train; the latter two after filling.
    """

    median: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, train: np.ndarray) -> "Scale":
        """Measure the columns of train: a column without a value is filled with 0."""
        median = np.zeros(train.shape[1], dtype=np.float32)
        mean, deviation = np.zeros((2, train.shape[1]))
        # Column by column: NumPy would copy the whole.
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
    """Return the forecast that knows the classes' shares in train alone, the same for all records.

    `code` are the classes of train, int64.

    Raises
    ------
    NothingToLearn
        When train has no record.
    """
    if not len(code):
        raise NothingToLearn
    shares = np.bincount(code) / len(code)
    event = float(shares[positive[positive < len(shares)]].sum())
    return Forecast(np.full(records, event), np.full(records, int(shares.argmax())))


DAY = 86_400
"""Seconds: a label is the strongest flare in so many after its window."""


def last_known(series: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the record whose label a forecaster knew last: int64, its row, -1 without one.

    That is the latest window of the same series whose day after it was over when the record's own
    window ended. The window just before is none: its day is not over yet.

    Parameters
    ----------
    series
        What the windows are of, such as HARPs, int64, shape (records,).
    end
        When each window ends, in seconds, int64, from 0 to 2^40.
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
        The row of the record that was last known, of each record that is forecast.
    code
        The classes of all rows.
    otherwise
        What is forecast where nothing was known.
    """
    there = known >= 0
    last = code[np.maximum(known, 0)]
    score = np.where(there, np.isin(last, positive).astype(np.float64), otherwise.score)
    return Forecast(score, np.where(there, last, otherwise.code))
