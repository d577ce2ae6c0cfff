"""Classes of objects: classes in the lists of the ALeRCE light-curve classifier, and user classes.

Source: Zenodo 4279623, CC BY 4.0 (Sanchez-Saez et al. 2021, AJ 161, 141).
"""

from collections import defaultdict
from collections.abc import Iterable

MEMBERS = {
    "predictions": "ALeRCE_lc_classifier_outputs_ZTF_unlabeled_set_20200609.csv",
    "catalogue": "labeled_set_lc_classifier_SanchezSaez_2020.csv",
}
"""Files of the published tarball by the name of the source: the classifier's predictions, and the
objects with a class in a catalogue, which the classifier was trained on."""

PUBLISHED_COUNTS = {
    "Periodic-Other": 243_374,
    "E": 198_122,
    "LPV": 161_592,
    "YSO": 85_087,
    "RRL": 58_592,
    "QSO": 43_054,
    "DSCT": 26_672,
    "CEP": 17_307,
    "AGN": 14_342,
    "CV/Nova": 7_945,
    "Blazar": 5_085,
    "SNIa": 3_956,
    "SNIbc": 1_626,
    "SNII": 890,
    "SLSN": 727,
}
"""Objects of each class in the published predictions, 868,371 in total."""

CLASSES = tuple(PUBLISHED_COUNTS)
"""The classes in the spelling of the published lists, the largest first."""


class KnownClasses:
    """The known classes: classes of the published lists, and classes that the user names.

    Letter case and signs are ignored (lists have `periodic_other` and `CV-Nova`), unless two of the
    user's classes would become equal, such as `A+` and `A-`.

    Parameters
    ----------
    own
        Classes that the user names. `qso` is the published QSO.
    """

    def __init__(self, own: Iterable[str] = ()):
        published = {_key(name): name for name in CLASSES}
        self._exact = {name: published.get(_key(name), name) for name in (*CLASSES, *own)}
        by_key = defaultdict(set)
        for name in self._exact.values():
            by_key[_key(name)].add(name)
        self._by_key = {key: min(names) for key, names in by_key.items() if len(names) == 1}
        # A name of signs alone leaves nothing to compare.
        self._by_key.pop("", None)

    def find(self, spelling: str) -> str | None:
        """Return the class name for a spelling in a list, None for an unknown class."""
        return self._exact.get(spelling) or self._by_key.get(_key(spelling))


def one_class(own: Iterable[str]) -> list[str]:
    """Return an error for each published class that the user names with several spellings."""
    spellings = defaultdict(list)
    for name in own:
        spellings[_key(name)].append(name)
    return [
        f"labels.map names {' and '.join(spellings[_key(name)])}, which are one class. Remove one: "
        f"{{{spellings[_key(name)][0]}: null}}."
        for name in CLASSES
        if len(spellings[_key(name)]) > 1
    ]


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
