"""A data set by number, as PyTorch's DataLoader takes it. PyTorch itself is not needed."""

from pathlib import Path

import numpy as np

from skymill.paths import DEFAULT_RESULTS
from skymill.reader.load import load


class Dataset:
    """One split of a data set, one item at a time: the inputs, then the class.

    Parameters
    ----------
    name, split, results
        As for `skymill.load`.
    options
        As for `skymill.load`; magnetic series are float32 unless `dtype` says otherwise, and their
        `form` is numpy.

    Items
    -----
    magnetic
        (series, y): float32 (60, columns).
    sdo
        (images, available, y): uint8 (4, 10, 256, 256), or float32 with NaN if `masked`, and bool
        (4, 10).
    aligned
        (series, images, available, y): float32 (60, 24), and as above; without images where there
        are no tensors.
    ztf
        (stamps, y): float32 (3, size, size).

    `y` is an int, the place in `classes`; -1 for an unknown class. Images are read when an item is
    asked for, also in the processes of a DataLoader.
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
                sample = self._images[["images", "available"]].isel(sample=number)
                # One thread: a DataLoader has processes of its own.
                sample = sample.compute(scheduler="synchronous")
                inputs += (sample["images"].to_numpy(), sample["available"].to_numpy())
        return (*inputs, int(self.y[number]))

    def weights(self) -> np.ndarray:
        """Return a weight for each item, such that all classes weigh the same; 0 if unknown.

        They are what PyTorch's WeightedRandomSampler takes.
        """
        counts = np.bincount(self.y[self.y >= 0], minlength=len(self.classes))
        share = np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)
        return np.where(self.y >= 0, share[self.y], 0.0)
