"""`skymill.statistics`: statistics to scale the input of a model."""

import json
from pathlib import Path

from skymill.paths import DATA_SETS, DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose


def statistics(name: str, results: str | Path = DEFAULT_RESULTS) -> dict:
    """Return mean, deviation, quantiles and class weights of the original training records.

    The statistics use no synthetic copy and no record of another split. So no test data leak into a
    model whose input is scaled with them.

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
