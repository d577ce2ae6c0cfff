"""The simulated sky of the ZTF branch: a pool of objects, some of them with an ALeRCE class.

What an object is, is a function of the seed and of its number alone, so nights and label lists that
are simulated apart agree.
"""

import string

import numpy as np

from skymill.engine.randomness import generator, key
from skymill.ztf.classes import CLASSES, PUBLISHED_COUNTS

LABELLED_SHARE = 0.7
"""Share of the objects that the label lists hold; of the real ones with stamps 37 % matched."""

OBJECTS_PER_CLASS = 4
"""Objects of each class at least, as far as there are enough; the others follow the published
counts."""

UNLABELLED = -1

_LETTERS = 26**7
_STRIDE = 3_141_592_653  # odd and no multiple of 13: each number gets letters of its own


def object_id(number: int) -> str:
    """Return the name of an object in ZTF's style: a year and seven letters."""
    left, letters = number * _STRIDE % _LETTERS, ""
    for _ in range(7):
        left, place = divmod(left, 26)
        letters += string.ascii_lowercase[place]
    return f"ZTF{17 + number % 2}{letters}"


def object_classes(objects: int, seed: int) -> np.ndarray:
    """Return the place in CLASSES of each object or UNLABELLED, int8, shape (objects,).

    The first objects take the classes in turn, OBJECTS_PER_CLASS times, so that even a small night
    that begins with them has all fifteen.
    """
    rng = generator(key(seed, "ztf", "classes"), 0)
    labelled = round(objects * LABELLED_SHARE)
    each = min(OBJECTS_PER_CLASS, labelled // len(CLASSES))
    first = np.tile(np.arange(len(CLASSES), dtype=np.int8), each)
    share = np.array(list(PUBLISHED_COUNTS.values())) / sum(PUBLISHED_COUNTS.values())
    drawn = rng.choice(len(CLASSES), labelled - len(first), p=share).astype(np.int8)
    nameless = np.full(objects - labelled, UNLABELLED, np.int8)
    return np.concatenate([first, rng.permutation(np.concatenate([drawn, nameless]))])
