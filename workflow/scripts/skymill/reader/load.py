"""`skymill.load`: one call for each data set."""

from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.paths import DATA_SETS, DEFAULT_RESULTS
from skymill.reader.found import choose


def load(name: str, split: str, results: str | Path = DEFAULT_RESULTS, **options):
    """Load one split of a data set.

    Parameters
    ----------
    name
        `magnetic`, `sdo`, `aligned` or `ztf`.
    split
        magnetic: `train`, `dev`, `test` or `holdout_test`. Other sets: `train`, `validation` or
        `test`. With `sdo.split: cleaned`, SDOBenchmark also has `excluded`.
    results
        The results folder, or a folder of products that was copied from a results folder.
    options
        The options of the set, see below.

    Returns
    -------
    magnetic
        MagneticRecords, see reader.magnetic. Options: `form` ("numpy", "arrow", "pandas", "dask"),
        `layout` ("ntc": records, steps, columns; "nct": records, columns, steps), `dtype`.
    sdo
        A lazy xarray.Dataset, see reader.sdo. Option: `masked`.
    aligned
        AlignedPairs, see reader.aligned. Option: `masked`.
    ztf
        Alerts, see reader.ztf. Option: `sampled`.

    Raises
    ------
    SkymillError
        When a product is missing (the message has the command to run), damaged, or comes from
        another run than the other products.
    """
    choose(name, tuple(DATA_SETS), "data set")
    # Each set needs its own libraries.
    if name == "magnetic":
        from skymill.reader.magnetic import load_magnetic as load_set
    elif name == "sdo":
        from skymill.reader.sdo import load_sdo as load_set
    elif name == "aligned":
        from skymill.reader.aligned import load_aligned as load_set
    else:
        from skymill.reader.ztf import load_ztf as load_set
    known = load_set.__kwdefaults__
    if unknown := [option for option in options if option not in known]:
        raise SkymillError(
            f"load({name!r}) has no option {unknown[0]!r}. Known are {', '.join(known)}."
        )
    return load_set(split, results, **options)
