"""Simulate the published ALeRCE label lists: one tarball with the members of Zenodo 4279623."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from skymill.engine.products import new_file, scratch_directory
from skymill.engine.randomness import generator, key
from skymill.raw.files import write_sidecar
from skymill.simulate.tarballs import join_pieces, member, write_piece
from skymill.simulate.ztf_objects import UNLABELLED, object_classes, object_id
from skymill.ztf.classes import CLASSES, MEMBERS

FEATURES_MEMBER = "features_for_lc_classifier_20200609.csv"
"""A member before the lists, which is skipped. The published member has 2.2 GB."""

UNSEEN_SHARE = 0.25
"""Objects of the lists that never have an alert, as a share of the pool."""

IDENTICAL, CONFLICTING = 4, 3
"""Objects that are in the predictions twice: with the same class, and with another class."""

_TIME = int(datetime(2020, 11, 19, tzinfo=UTC).timestamp())
"""The time of the members, seconds since 1970."""


def label_rows(objects: int, seed: int) -> tuple[list[tuple], list[tuple]]:
    """Return the rows of predictions and catalogue.

    Predictions are (object id, class, probability) of all objects with a class, including objects
    that never have an alert. The catalogue has (object id, class) of half of these objects.
    """
    unseen = round(objects * UNSEEN_SHARE)
    classes = np.concatenate([object_classes(objects, seed), object_classes(unseen, seed + 1)])
    numbers = np.flatnonzero(classes != UNLABELLED)
    rng = generator(key(seed, "ztf", "labels"), 0)
    probability = rng.uniform(0.2, 1, len(numbers)).round(6)
    listed = [
        (object_id(number), CLASSES[classes[number]], float(sure))
        for number, sure in zip(numbers.tolist(), probability, strict=True)
    ]
    catalogue = [(name, label) for name, label, _ in listed[::2]]
    # From the most frequent classes, so that a small simulation keeps all classes.
    common = [row for row in listed if row[1] in CLASSES[:2]]
    twice = [common[place] for place in rng.permutation(len(common))[: IDENTICAL + CONFLICTING]]
    doubled = twice[:IDENTICAL]
    doubled += [(name, "RRL", round(sure / 2, 6)) for name, _, sure in twice[IDENTICAL:]]
    rows = listed + doubled
    return [rows[place] for place in rng.permutation(len(rows))], catalogue


def write_labels(raw: Path, *, objects: int, seed: int) -> None:
    """Write a simulated tarball of label lists, and the sidecar that says `sample`.

    Parameters
    ----------
    objects
        Objects in the pool of the nights, see ztf_objects.
    seed
        The seed of the nights.
    """
    predictions, catalogue = label_rows(objects, seed)
    rng = generator(key(seed, "ztf", "labels"), 1)
    features = ["oid,Amplitude_1,Amplitude_2,Period_band_1"]
    features += [
        f"{name},{rng.random():.6f},{rng.random():.6f},{rng.lognormal():.6f}"
        for name, *_ in predictions
    ]
    predicted = [",oid,predicted_class,predicted_class_proba,n_det_1,n_det_2"]
    predicted += [
        f"{place},{name},{label},{sure!r},{rng.integers(6, 200)},{rng.integers(6, 200)}"
        for place, (name, label, sure) in enumerate(predictions)
    ]
    known = ["oid,classALeRCE,ra,dec,period,source"]
    known += [
        f"{name},{label},{rng.uniform(0, 360):.7f},{rng.uniform(-30, 90):.7f},,simulated"
        for name, label in catalogue
    ]
    members = [
        member(name, ("\n".join(lines) + "\n").encode(), _TIME)
        for name, lines in (
            (FEATURES_MEMBER, features),
            (MEMBERS["predictions"], predicted),
            (MEMBERS["catalogue"], known),
        )
    ]
    raw.parent.mkdir(parents=True, exist_ok=True)
    with (
        new_file(raw) as temporary,
        scratch_directory(raw) as folder,
    ):
        join_pieces(temporary, [write_piece(folder / "members", members)])
    write_sidecar(raw, "sample", simulator={"objects": objects, "seed": seed})
