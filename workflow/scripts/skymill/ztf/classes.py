"""The published lists of the ALeRCE light-curve classifier: their files and their fifteen classes.

Source: Zenodo 4279623, CC BY 4.0 (Sanchez-Saez et al. 2021, AJ 161, 141).
"""

MEMBERS = {
    "predictions": "ALeRCE_lc_classifier_outputs_ZTF_unlabeled_set_20200609.csv",
    "catalogue": "labeled_set_lc_classifier_SanchezSaez_2020.csv",
}
"""Files of the published tarball by the name of the source: what the classifier predicts, and the
objects with a class in some catalogue that it was trained on."""

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
"""Objects of each class among the published predictions, 868,371 together."""

CLASSES = tuple(PUBLISHED_COUNTS)
"""The classes as the published lists spell them, the largest first."""


def canonical_class(name: str) -> str | None:
    """Return the published spelling of a class, None for one that nobody has heard of.

    Letter case and what stands between letters do not count: `periodic_other` and `CV-Nova` occur.
    """
    return _BY_KEY.get(_key(name))


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_BY_KEY = {_key(name): name for name in CLASSES}
