"""The simulated sky of the ZTF branch: a pool of objects, some of them with an ALeRCE class.

An object depends only on the seed and on its number. So nights and label lists agree, although they
are simulated separately.
"""

import string

import numpy as np

from skymill.engine.randomness import generator, key
from skymill.ztf.classes import CLASSES, PUBLISHED_COUNTS

LABELLED_SHARE = 0.7
"""Share of the objects in the label lists. Of the real objects with stamps, 37 % matched."""

OBJECTS_PER_CLASS = 4
"""The fewest objects of each class, if there are enough objects. The others follow the published
counts."""

UNLABELLED = -1

_LETTERS = 26**7
_STRIDE = 3_141_592_653  # odd and no multiple of 13, so that each number has its own letters


def object_id(number: int) -> str:
    """Return the name of an object in ZTF's style: a year and seven letters."""
    left, letters = number * _STRIDE % _LETTERS, ""
    for _ in range(7):
        left, place = divmod(left, 26)
        letters += string.ascii_lowercase[place]
    return f"ZTF{17 + number % 2}{letters}"


def object_classes(objects: int, seed: int) -> np.ndarray:
    """Return the place in CLASSES of each object or UNLABELLED, int8, shape (objects,).

    The first objects have all classes in order, OBJECTS_PER_CLASS times. So even a small night that
    begins with these objects has all fifteen classes.
    """
    rng = generator(key(seed, "ztf", "classes"), 0)
    labelled = round(objects * LABELLED_SHARE)
    each = min(OBJECTS_PER_CLASS, labelled // len(CLASSES))
    first = np.tile(np.arange(len(CLASSES), dtype=np.int8), each)
    share = np.array(list(PUBLISHED_COUNTS.values())) / sum(PUBLISHED_COUNTS.values())
    drawn = rng.choice(len(CLASSES), labelled - len(first), p=share).astype(np.int8)
    nameless = np.full(objects - labelled, UNLABELLED, np.int8)
    return np.concatenate([first, rng.permutation(np.concatenate([drawn, nameless]))])
