"""Scores of forecasts with intervals: TSS, HSS and macro F1.

An *event* is a record of one of the positive classes. Counts of a forecast are in the order (hits,
misses, false alarms, correct rejections).

Sources: Woodcock (1976, Mon. Wea. Rev. 104, 1209) compares scores of yes-no forecasts; Bloomfield
et al. (2012, ApJL 747, L41) recommend TSS for flares, because the ratio of the classes does not
change TSS; Bobra and Couvidat (2015, ApJ 798, 135) give the form of HSS that is used here: HSS2.

An undefined score is NaN, never a number. Reports write null for NaN, with the reason.
"""

from dataclasses import dataclass

import numpy as np

from skymill.engine.randomness import generator, key

DRAWS = 1000
"""Number of draws of the bootstrap."""

PERCENTILES = (5, 95)
"""The ends of the intervals. Nine of ten draws are between the ends."""

DIGITS = 4
"""Decimals of the scores in files."""


def count_forecasts(is_event: np.ndarray, is_forecast: np.ndarray) -> np.ndarray:
    """Return hits, misses, false alarms and correct rejections, int64, shape (4,).

    `is_event` and `is_forecast` are bool, shape (records,).
    """
    return np.bincount(_outcome(is_event, is_forecast), minlength=4).astype(np.int64)


def _outcome(is_event: np.ndarray, is_forecast: np.ndarray) -> np.ndarray:
    return 2 * (~is_event).astype(np.int64) + ~is_forecast


def true_skill(counts: np.ndarray) -> np.ndarray:
    """Return TSS: the share of events that were forecast, minus the rate of false alarms.

    TSS = hits / (hits + misses) - false alarms / (false alarms + correct rejections). TSS is 1 for
    a perfect forecast and 0 for a constant forecast. `counts` has the shape (..., 4). The result is
    NaN without events, or with only events.
    """
    hits, misses, alarms, rejections = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / (hits + misses) - alarms / (alarms + rejections)


def heidke_skill(counts: np.ndarray) -> np.ndarray:
    """Return HSS2: how much better than chance a forecast is.

    HSS2 = 2 (hits x rejections - misses x alarms) / (P (misses + rejections) + N (hits + alarms)),
    with P events and N other records. Shapes and NaN are as in true_skill.
    """
    hits, misses, alarms, rejections = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    events, others = hits + misses, alarms + rejections
    with np.errstate(invalid="ignore", divide="ignore"):
        score = (
            2
            * (hits * rejections - misses * alarms)
            / (events * (misses + rejections) + others * (hits + alarms))
        )
    return np.where((events > 0) & (others > 0), score, np.nan)


def confusion(truth: np.ndarray, forecast: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix: int64, shape (classes, classes).

    `truth` and `forecast` are codes from 0, shape (records,). Rows are the true classes.
    """
    return np.bincount(truth * classes + forecast, minlength=classes**2).reshape(classes, classes)


def macro_f1(counts: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the mean F1 of some classes. All classes have the same weight, also rare classes.

    Parameters
    ----------
    counts
        Confusion counts, shape (..., classes, classes).
    present
        bool, shape (classes,): the classes of the mean. A forecast of a class that is not in the
        test set is always wrong. Such forecasts lower the F1 of the true classes.

    Returns
    -------
    Shape (...). NaN if one of the classes does not occur.
    """
    counts = np.asarray(counts, dtype=np.float64)
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    true, forecast = counts.sum(axis=-1), counts.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(true > 0, 2 * right / (true + forecast), np.nan)
    if not np.any(present):
        return np.full(counts.shape[:-2], np.nan)
    return f1[..., present].mean(axis=-1)


def best_threshold(is_event: np.ndarray, score: np.ndarray) -> float | None:
    """Return the threshold with the largest TSS. Scores from the threshold up forecast an event.

    Of equally good thresholds the highest is returned, which causes the fewest alarms. If no
    threshold is better than no alarm, the result is above all scores. The threshold is halfway
    between two scores, so rounding does not change a forecast.

    Parameters
    ----------
    is_event, score
        bool and finite floats, shape (records,), of the validation split.

    Returns
    -------
    The threshold, or None if TSS is undefined: without events, or with only events.
    """
    events = int(is_event.sum())
    if events in (0, len(is_event)):
        return None
    order = np.argsort(-score, kind="stable")
    ordered, hit = score[order].astype(np.float64), is_event[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    skill = np.cumsum(hit)[last] / events - np.cumsum(~hit)[last] / (len(hit) - events)
    best = int(np.argmax(skill))
    if skill[best] <= 0:
        return float(np.nextafter(ordered[0], np.inf))
    lowest = float(ordered[last[best]])
    if best + 1 == len(last):
        return lowest
    between = (lowest + float(ordered[last[best + 1]])) / 2
    return between if ordered[last[best + 1]] < between else lowest


def draw_groups(groups: int, seed: int) -> np.ndarray:
    """Return how often each draw of the bootstrap contains each group: int64, (DRAWS, groups)."""
    random = generator(key(seed, "baseline", "bootstrap"), groups)
    drawn = random.integers(0, groups, (DRAWS, groups))
    rows = np.arange(DRAWS)[:, None] * groups
    return np.bincount((drawn + rows).ravel(), minlength=DRAWS * groups).reshape(DRAWS, groups)


@dataclass(frozen=True)
class Score:
    """A score with its interval.

    Attributes
    ----------
    value
        None if the score is undefined.
    low, high
        PERCENTILES of the draws in which the score is defined; None without such draws.
    undefined_draws
        Number of the DRAWS in which the score is undefined, for example without events.
    """

    value: float | None
    low: float | None
    high: float | None
    undefined_draws: int

    @classmethod
    def of(cls, value: float, draws: np.ndarray) -> "Score":
        """Make a score from its value and its values in the draws. NaN means undefined."""
        defined = draws[~np.isnan(draws)]
        low, high = np.percentile(defined, PERCENTILES) if len(defined) else (np.nan, np.nan)
        return cls(_number(value), _number(low), _number(high), int(np.isnan(draws).sum()))

    def described(self) -> dict:
        """Return the score in the form of the files."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "undefined_draws": self.undefined_draws,
        }

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        if self.low is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def _number(value: float) -> float | None:
    # Adding 0 makes -0.0 a plain zero.
    return None if np.isnan(value) else round(float(value), DIGITS) + 0.0


@dataclass(frozen=True)
class Evaluation:
    """The scores of forecasts of a test set.

    Attributes
    ----------
    tss, hss
        Scores of events against other records; None if the forecasts have no events.
    f1
        Macro F1 over the classes of the test set; None if the forecasts have no classes.
    counts
        Hits, misses, false alarms and correct rejections; None if the forecasts have no events.
    records, groups, events, event_groups
        Numbers of records, groups, events, and groups with events in the test set.
    absent
        Classes that are not in the test set.
    """

    tss: Score | None
    hss: Score | None
    f1: Score | None
    counts: tuple[int, ...] | None
    records: int
    groups: int
    events: int
    event_groups: int
    absent: tuple[str, ...]

    def described(self) -> dict:
        """Return the evaluation in the form of the files."""
        names = ("hits", "misses", "false_alarms", "correct_rejections")
        return {
            "tss": self.tss and self.tss.described(),
            "hss": self.hss and self.hss.described(),
            "macro_f1": self.f1 and self.f1.described(),
            "counts": self.counts and dict(zip(names, self.counts, strict=True)),
            "test": {
                "records": self.records,
                "groups": self.groups,
                "events": self.events,
                "groups_with_events": self.event_groups,
                "absent_classes": list(self.absent),
            },
        }


def evaluate(
    truth: np.ndarray,
    group: np.ndarray,
    classes: tuple[str, ...],
    positive: tuple[str, ...],
    *,
    is_forecast: np.ndarray | None = None,
    forecast_class: np.ndarray | None = None,
    seed: int = 0,
) -> Evaluation:
    """Score forecasts of a test set. The bootstrap draws whole groups.

    Records of a group are similar, so a draw of single records would make the interval too narrow.

    Parameters
    ----------
    truth
        The class of each record by its place in `classes`, int64, shape (records,).
    group
        The group of each record, such as its region or object, shape (records,).
    positive
        The classes that are events.
    is_forecast
        bool, shape (records,): whether an event was forecast.
    forecast_class
        The forecast class of each record, in the form of `truth`.
    """
    _, group = np.unique(group, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    is_event = np.isin(truth, [classes.index(name) for name in positive])
    weights = draw_groups(groups, seed) if groups else np.zeros((DRAWS, 0), dtype=np.int64)
    tss = hss = f1 = counts = None
    if is_forecast is not None:
        by_group = _by_group(group, groups, _outcome(is_event, is_forecast), 4)
        counts, drawn = by_group.sum(axis=0), weights @ by_group
        tss = Score.of(true_skill(counts), true_skill(drawn))
        hss = Score.of(heidke_skill(counts), heidke_skill(drawn))
        counts = tuple(map(int, counts))
    present = np.bincount(truth, minlength=len(classes)) > 0
    if forecast_class is not None:
        size = len(classes)
        by_group = _by_group(group, groups, truth * size + forecast_class, size**2)
        total = by_group.sum(axis=0).reshape(size, size)
        drawn = (weights @ by_group).reshape(DRAWS, size, size)
        f1 = Score.of(float(macro_f1(total, present)), macro_f1(drawn, present))
    return Evaluation(
        tss=tss,
        hss=hss,
        f1=f1,
        counts=counts,
        records=len(truth),
        groups=groups,
        events=int(is_event.sum()),
        event_groups=len(np.unique(group[is_event])),
        absent=tuple(name for name, there in zip(classes, present, strict=True) if not there),
    )


def _by_group(group: np.ndarray, groups: int, what: np.ndarray, kinds: int) -> np.ndarray:
    """Count each kind in each group: int64, shape (groups, kinds)."""
    counts = np.bincount(group * kinds + what, minlength=groups * kinds)
    return counts.reshape(groups, kinds).astype(np.int64)
