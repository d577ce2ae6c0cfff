"""Simulated ZTF alert packets: Avro files with one record, as in the nightly archives.

Fields are encoded one after the other. The long histories are encoded as arrays of bytes, whose
rows differ from a template in a few numbers. For a record of a thousand optional values, fastavro
would need more time than for all other fields.
"""

import functools
import hashlib
import io
import json

import numpy as np

from skymill.simulate.ztf_schema import alert_schema

PUBLISHER = "ZTF (www.ztf.caltech.edu)"

CUTOUTS = {"cutoutScience": "sci", "cutoutTemplate": "ref", "cutoutDifference": "refmsci"}
"""The fields of the three stamps, and the names in their file names."""

_INTEGERS = {"tooflag": 0, "nneg": 2, "nbad": 0, "nmtchps": 7, "nframesref": 18, "nmatches": 230}
_TEXTS = {
    "programpi": "Kulkarni",
    "ssnamenr": "null",
    "rbversion": "t17_f5_c3",
    "drbversion": "d6_m7",
    "procstatus": "0",
    "isdiffpos": "t",
    "pdiffimfilename": "ztf_20180601251771_000248_zg_c01_o_q1_scimrefdiffimg.fits",
}
"""Values of fields that do not depend on the source."""

_ALWAYS_KNOWN = (
    *("jd", "fid", "pid", "diffmaglim", "pdiffimfilename", "programpi", "programid"),
    *("nid", "rcid", "field", "rbversion"),
)
"""The values in an object's history for an exposure that did not show the object."""


class Packets:
    """An encoder of alerts in one version of the schema."""

    def __init__(self, version: str, processing: int):
        import fastavro

        self.version = version
        schema = alert_schema(version)
        kinds = {field["name"]: field["type"] for field in schema["fields"]}
        self._write = fastavro.schemaless_writer
        self._known = kinds["cutoutScience"].index("null") ^ 1
        self._candidate = fastavro.parse_schema(kinds["candidate"])
        self._fields = {field["name"]: field["type"] for field in kinds["candidate"]["fields"]}
        self._floats = [name for name, kind in self._fields.items() if _holds(kind, "float")]
        self._typical = typical_values(kinds["candidate"], processing)
        self._header = b"Obj\x01" + self._encode(
            {"type": "map", "values": "bytes"},
            {"avro.codec": b"null", "avro.schema": json.dumps(schema).encode()},
        )
        previous = kinds["prv_candidates"][self._known]["items"]
        seen = typical_values(previous, processing)
        unseen = {name: value if name in _ALWAYS_KNOWN else None for name, value in seen.items()}
        self._seen, self._unseen = Rows(previous, seen), Rows(previous, unseen)
        self._forced = None
        if "fp_hists" in kinds:
            forced = kinds["fp_hists"][self._known]["items"]
            self._forced = Rows(forced, typical_values(forced, processing))

    def packet(
        self,
        object_id: str,
        values: dict,
        stamps: dict[str, bytes | None],
        rng: np.random.Generator,
        *,
        history: int,
        forced: int,
    ) -> bytes:
        """Return an Avro file of one alert.

        Parameters
        ----------
        values
            Known values of the candidate, including `candid`, `pid`, `jd` and `fid`. Other fields
            have typical values.
        stamps
            Content of each of CUTOUTS, None for a null cutout.
        rng
            The random generator of the typical values and the histories.
        history, forced
            Entries of the two histories. Schemas before 4 do not have the second history.
        """
        candid, pid = values["candid"], values["pid"]
        noise = rng.lognormal(0, 0.5, len(self._floats)).tolist()
        candidate = {**self._typical, **dict(zip(self._floats, noise, strict=True))}
        candidate.update((name, value) for name, value in values.items() if name in self._fields)
        parts = [
            _text(self.version),
            _text(PUBLISHER),
            _text(object_id),
            _integer(candid),
            self._encode(self._candidate, candidate),
            self._history(rng, values, history),
        ]
        if self._forced:
            parts.append(self._forced_history(rng, values, forced))
        for field, kind in CUTOUTS.items():
            content = stamps[field]
            if content is None:
                parts.append(_integer(self._known ^ 1))
                continue
            processing = "" if kind == "ref" else f"_pid{pid}_targ"
            name = _text(f"candid{candid}{processing}_{kind}.fits.gz")
            parts += [_integer(self._known), name, _integer(len(content)), content]
        record = b"".join(parts)
        marker = hashlib.blake2b(f"{candid}".encode(), digest_size=16).digest()
        return b"".join([self._header, marker, _integer(1), _integer(len(record)), record, marker])

    def _history(self, rng: np.random.Generator, values: dict, count: int) -> bytes:
        """Return the history of the 30 days before at the object's place; null if it is empty."""
        if not count:
            return _integer(self._known ^ 1)
        exposures = _exposures(rng, values, count)
        detected = rng.random(count) < 0.5
        unseen = self._unseen.encode(count, **exposures)
        seen = self._seen.encode(
            count,
            **exposures,
            candid=exposures["pid"] * 10**6 + rng.integers(1, 5000, count),
            ra=values["ra"] + rng.normal(0, 2e-5, count),
            dec=values["dec"] + rng.normal(0, 2e-5, count),
            magpsf=values["magpsf"] + rng.normal(0, 0.2, count),
            sigmapsf=rng.uniform(0.02, 0.2, count),
            xpos=rng.uniform(40, 3030, count),
            ypos=rng.uniform(40, 3030, count),
            rb=rng.random(count),
        )
        rows = [(seen if shown else unseen)[row] for row, shown in enumerate(detected.tolist())]
        return _integer(self._known) + _integer(count) + b"".join(rows) + _integer(0)

    def _forced_history(self, rng: np.random.Generator, values: dict, count: int) -> bytes:
        if not count:
            return _integer(self._known ^ 1)
        rows = self._forced.encode(
            count,
            **_exposures(rng, values, count),
            forcediffimflux=rng.normal(100, 80, count),
            forcediffimfluxunc=rng.uniform(5, 30, count),
            scibckgnd=rng.normal(76, 11, count),
        )
        return _integer(self._known) + _integer(count) + b"".join(rows) + _integer(0)

    def _encode(self, schema: object, value: object) -> bytes:
        stream = io.BytesIO()
        self._write(stream, schema, value)
        return stream.getvalue()


class Rows:
    """An encoder of many records at a time, which differ from a template in a few numbers."""

    def __init__(self, schema: dict, template: dict):
        import fastavro

        self._places: dict[str, tuple[int, str, int]] = {}
        parts, at = [], 0
        for field in schema["fields"]:
            name, kind = field["name"], field["type"]
            stream = io.BytesIO()
            fastavro.schemaless_writer(stream, fastavro.parse_schema(kind), template[name])
            parts.append(stream.getvalue())
            plain = next(each for each in kind if each != "null") if _optional(kind) else kind
            width = len(parts[-1]) - _optional(kind)
            self._places[name] = (at + _optional(kind), plain, width)
            at += len(parts[-1])
        self._template = np.frombuffer(b"".join(parts), np.uint8)

    def encode(self, count: int, **columns: np.ndarray) -> list[bytes]:
        """Return `count` encoded records with these values, arrays of shape (count,).

        Floats may have any value. An integer has as many bytes as the integer of the template. (An
        integer that needs fewer bytes is padded, which the format allows. For example, processing
        IDs just before 2023 are padded in an alert of 2023.)
        """
        rows = np.tile(self._template, (count, 1))
        for name, values in columns.items():
            at, kind, width = self._places[name]
            if kind in _FLOATS:
                content = values.astype(_FLOATS[kind]).view(np.uint8).reshape(count, -1)
            else:
                content = _varints(values, width)
            rows[:, at : at + content.shape[1]] = content
        return [row.tobytes() for row in rows]


@functools.cache
def _packets(version: str, processing: int) -> Packets:
    return Packets(version, processing)


def packets(version: str, processing: int) -> Packets:
    """Return the encoder of alerts in a version of the schema, one of ztf_schema.VERSIONS.

    `processing` is the processing ID of the alerts. From 2023 on, the ID has one more byte.
    """
    return _packets(version, 516 * 10**9 if processing < _LONG_PROCESSING else _LONG_PROCESSING)


def typical_values(schema: dict, processing: int) -> dict:
    """Return a value per field of a record. Whole numbers have as many bytes as in real alerts."""
    values: dict[str, object] = {}
    for field in schema["fields"]:
        name, kind = field["name"], field["type"]
        if _holds(kind, "string"):
            values[name] = _TEXTS[name]
        elif _holds(kind, "float") or _holds(kind, "double"):
            values[name] = 1.5
        else:
            values[name] = _INTEGERS.get(name, 1)
    # As many bytes as the ID of any exposure of the survey.
    values.update({name: processing for name in ("pid",) if name in values})
    values.update({name: 516 * 10**15 for name in ("candid",) if name in values})
    return values


_LONG_PROCESSING = 2**41
"""The smallest processing ID with seven bytes."""

_FLOATS = {"float": "<f4", "double": "<f8"}


def _exposures(rng: np.random.Generator, values: dict, count: int) -> dict[str, np.ndarray]:
    """Return time, filter, processing ID and limit of the exposures of the 30 days before."""
    jd = np.sort(values["jd"] - rng.uniform(0.01, 30, count))
    return {
        "jd": jd,
        "fid": rng.integers(1, 3, count),
        "pid": values["pid"] - ((values["jd"] - jd) * 1e9).astype(np.int64),
        "diffmaglim": rng.normal(19.5, 0.5, count),
    }


def _varints(values: np.ndarray, width: int) -> np.ndarray:
    """Return whole numbers in Avro's variable-length code, uint8, shape (n, width).

    No number may need more than `width` bytes.
    """
    zigzag = values.astype(np.int64).astype(np.uint64) << np.uint64(1)
    if (zigzag >> np.uint64(7 * width)).any():
        raise ValueError(f"{values.max()} does not fit into {width} bytes")
    shifts = np.arange(width, dtype=np.uint64) * np.uint64(7)
    content = ((zigzag[:, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8)
    content[:, :-1] |= 0x80
    return content


def _integer(value: int) -> bytes:
    """Return a whole number in Avro's variable-length code."""
    left = value << 1 if value >= 0 else (-value << 1) - 1
    encoded = bytearray()
    while left > 0x7F:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)


def _text(value: str) -> bytes:
    content = value.encode()
    return _integer(len(content)) + content


def _optional(kind: object) -> bool:
    return isinstance(kind, list)


def _holds(kind: object, plain: str) -> bool:
    return plain in kind if _optional(kind) else kind == plain
