"""Names of objects: check their form, and recognise other spellings of ZTF names."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

OBJECT_ID = "[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
"""The form of a name: spreadsheets and web pages treat such names only as text."""

ZTF_NAME = "ZTF[0-9]{2}[a-z]{7}"
"""A name as ZTF gives it: the year and seven letters."""

_PARTS = re.compile(
    r"(?<![0-9a-z])(?:ztf[^0-9a-z]*)?(?:20)?([0-9]{2})[^0-9a-z]*([a-z]{7})(?![0-9a-z])", re.I
)

_LETTERS = 26**7
_SURVEY_BIT = 55
_SURVEYS = (0, 1)


def ztf_name(text: str) -> str | None:
    """Return the ZTF name that another spelling means, None if there is none.

    Other spellings are names in other letter case, names without `ZTF` or with more text around
    (`18abcdefg`, `ztf_18abcdefg`), and the numbers of ALeRCE's newer database. The number has the
    survey (0 or 1 for ZTF) in the bits from 55, and year x 26^7 + the seven letters as a number in
    the lower bits (alercebroker/pipeline, libs/idmapper).
    """
    if re.fullmatch(r"[0-9]{8,19}(\.0*)?", text):
        survey, number = divmod(int(text.partition(".")[0]), 2**_SURVEY_BIT)
        year, number = divmod(number, _LETTERS)
        if survey not in _SURVEYS or not 17 <= year <= 99:
            return None
        letters = ""
        for _ in range(7):
            number, place = divmod(number, 26)
            letters = chr(ord("a") + place) + letters
        return f"ZTF{year}{letters}"
    found = _PARTS.search(text)
    name = found and f"ZTF{found[1]}{found[2].lower()}"
    return None if name == text else name


def respelt(object_ids: pa.Array | pa.ChunkedArray) -> dict[str, str]:
    """Return {ZTF name: spelling in the list} of the names that ZTF spells differently."""
    odd = pc.invert(pc.match_substring_regex(object_ids, f"^{ZTF_NAME}$"))
    spellings = object_ids.filter(odd).to_pylist()
    return {name: text for text in reversed(spellings) if (name := ztf_name(text))}


def as_bytes(names: list[str]) -> np.ndarray:
    """Return names as bytes of one width, sorted."""
    return np.unique(np.array([name.encode() for name in names] or [], "S"))
