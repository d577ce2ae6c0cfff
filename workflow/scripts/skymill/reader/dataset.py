"""A data set with numbered items for PyTorch's DataLoader. This module does not need PyTorch."""

from pathlib import Path

import numpy as np

from skymill.paths import DEFAULT_RESULTS
from skymill.reader.load import load
from skymill.reader.sdo import read_sample


class Dataset:
    """One split of a data set. An item has the inputs and the class.

    Parameters
    ----------
    name, split, results
        See `skymill.load`.
    options
        See `skymill.load`. Magnetic series are float32 unless you set `dtype`. Their `form` is
        numpy.

    Items
    -----
    magnetic
        (series, y): float32 (60, columns).
    sdo
        (images, available, y): uint8 (4, 10, 256, 256), or float32 with NaN if `masked`, and bool
        (4, 10).
    aligned
        (series, images, available, y): float32 (60, 24), and images as above. Without tensors,
        there are no images.
    ztf
        (stamps, y): float32 (3, size, size).

    `y` is an int, the index into `classes`; -1 for an unknown class. Images are read when you get
    an item, also in the processes of a DataLoader.
    """

    def __init__(self, name: str, split: str, results: str | Path = DEFAULT_RESULTS, **options):
        if name == "magnetic":
            options = {"dtype": "float32", **options, "form": "numpy"}
        self._name = name
        self._data = load(name, split, results, **options)
        if name == "sdo":
            self._images = self._data
            self.y = self._data["target"].to_numpy()
            self.classes = tuple(self._data.attrs["classes"])
        else:
            self._images = getattr(self._data, "images", None)
            self.y, self.classes = self._data.y, self._data.classes

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, number: int) -> tuple:
        number = range(len(self))[number]
        if self._name == "magnetic":
            inputs = (self._data.X[number],)
        elif self._name == "ztf":
            inputs = (self._data.stamps[number],)
        else:
            inputs = (self._data.series[number],) if self._name == "aligned" else ()
            if self._images is not None:
                sample = read_sample(self._images[["images", "available"]], number)
                inputs += (sample["images"].to_numpy(), sample["available"].to_numpy())
        return (*inputs, int(self.y[number]))

    def weights(self) -> np.ndarray:
        """Return the weights of the items for PyTorch's WeightedRandomSampler.

        All classes have the same total weight. The weight of an unknown class is 0.
        """
        counts = np.bincount(self.y[self.y >= 0], minlength=len(self.classes))
        share = np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)
        return np.where(self.y >= 0, share[self.y], 0.0)
