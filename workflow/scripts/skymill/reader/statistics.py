"""`skymill.statistics`: what a model's input is scaled with."""

import json
from pathlib import Path

from skymill.paths import DATA_SETS, DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose


def statistics(name: str, results: str | Path = DEFAULT_RESULTS) -> dict:
    """Return mean, deviation, quantiles and class weights of the original training records.

    Neither synthetic copies nor any record of another split is in them, so that a model which is
    scaled with them has seen nothing of its test.

    Parameters
    ----------
    name
        magnetic, sdo, aligned or ztf.
    results
        See FoundProduct.

    Returns
    -------
    The content of `statistics.json`, see the data dictionary.
    """
    choose(name, tuple(DATA_SETS), "data set")
    (content,) = FoundProduct(name, "statistics.json", results).contents()
    return json.loads(content)
