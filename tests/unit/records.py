"""Hand-made records, raw files and runs that the unit tests start from."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from skymill.engine.products import Product, manifest_path, write_document
from skymill.engine.yaml_files import read_yaml
from skymill.magnetic import catalogue as ingest_module
from skymill.magnetic.schema import INDEX, LORENTZ, PARAMETERS, STEPS
from skymill.magnetic.store import RecordStore
from skymill.settings import of_input

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "workflow" / "scripts"
ABSENT = object()
"""As a label: the record has no label key."""

FORCES = (("EPSX", "TOTFX", -1), ("EPSY", "TOTFY", -1), ("EPSZ", "TOTFZ", 1))

_TYPICAL = {
    "TOTUSJH": 154.0,
    "TOTBSQ": 1.4e9,
    "TOTPOT": 1.0e22,
    "TOTUSJZ": 3.3e12,
    "ABSNJZH": 10.5,
    "SAVNCPP": 8.1e11,
    "USFLUX": 2.4e21,
    "MEANPOT": 1951.0,
    "MEANSHR": 23.9,
    "XR_MAX": 7e-7,
}


def physical_values(seed: int, steps: int = STEPS) -> np.ndarray:
    """Return realistic values of a record: EPS, TOTF and TOTBSQ obey their identity."""
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0.0, 0.5, (len(PARAMETERS), steps))
    for name, median in _TYPICAL.items():
        values[INDEX[name]] *= median
    values[INDEX["SHRGT45"]] = rng.uniform(0, 100, steps)
    values[INDEX["R_VALUE"]] = np.where(rng.random(steps) < 0.5, 0.0, rng.uniform(2, 5, steps))
    for eps, force, sign in FORCES:
        values[INDEX[force]] = rng.normal(0, 3e23, steps)
        values[INDEX[eps]] = sign * LORENTZ * values[INDEX[force]] / values[INDEX["TOTBSQ"]]
    return values


def windows(seed: int, count: int, stride: int = 15) -> list[np.ndarray]:
    """Return the values of `count` windows that slide over one region's time series."""
    series = physical_values(seed, STEPS + stride * (count - 1))
    return [series[:, at : at + STEPS] for at in range(0, stride * count, stride)]


def document(record_id, label="Q", values: np.ndarray | None = None) -> dict:
    """Return one record in the form of the archive's JSON."""
    values = physical_values(0) if values is None else values
    series = {
        name: {str(step): number for step, number in enumerate(row)}
        for name, row in zip(PARAMETERS, values.tolist(), strict=True)
    }
    start = {} if label is ABSENT else {"label": label}
    return {str(record_id): {**start, "values": series}}


def record(record_id, label="Q", values: np.ndarray | None = None) -> bytes:
    """Return one line of a raw file, without its line end."""
    return json.dumps(document(record_id, label, values)).encode()


def write_raw(path: Path, lines: list[bytes]) -> Path:
    """Write lines, each with its line end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def described(path: Path, files: list[dict], **content) -> Product:
    """Write the manifest of a product, in a results folder that is the product's parent.

    `files` describes the files of a folder, or the single file and other files next to it.
    """
    before = f"{path.name}/" if path.is_dir() else ""
    document = {
        "product": path.name,
        "source": "local",
        **content,
        "files": [{**entry, "name": f"{before}{entry['name']}"} for entry in files],
    }
    write_document(manifest_path(path), document)
    return Product(path)


class Ingested:
    """One raw file ingested into a folder, and its products read back."""

    def __init__(self, raw: Path, folder: Path, *, labelled=True, partition=None, **how):
        name = partition or raw.stem
        self.values_directory = folder / "values" / name
        self.paths = {
            "values": self.values_directory,
            "catalogue": folder / "catalogue" / f"{name}.parquet",
            "quarantine": folder / "quarantine" / f"{name}.jsonl",
        }
        self.content = ingest_module.ingest(raw, name, labelled=labelled, **self.paths, **how)
        self.counts = self.content["counts"]
        self.store = described(self.values_directory, **self.content)
        self.catalogue = pq.read_table(self.paths["catalogue"])
        lines = self.paths["quarantine"].read_bytes().split(b"\n")[:-1]
        self.quarantine = [json.loads(line) for line in lines]

    def values(self) -> np.ndarray:
        """Return the values of the valid records in file order, shape (33, records, 60)."""
        return self._read(PARAMETERS, np.float64)

    def fingerprints(self) -> np.ndarray:
        """Return the fingerprints of their steps, uint64 of shape (records, 60)."""
        return self._read(["fingerprint"], np.uint64)[0]

    def _read(self, names, dtype) -> np.ndarray:
        store = RecordStore(self.store)
        return store.read(np.arange(len(store)), names, dtype)


def contents_of(*roots: Path) -> dict[str, bytes]:
    """Return the bytes of every file in some directories (or of the files themselves)."""
    found = {}
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file():
                found[f"{root.name}/{path.relative_to(root)}"] = path.read_bytes()
    return found


SMALL_BLOCK = 200_000
_ingest_blocks = ingest_module._ingest_blocks


def ingest_small_blocks(blocks):
    """Replace ingest's work function, so that workers use the small block size too."""
    ingest_module.BLOCK_BYTES = SMALL_BLOCK
    return _ingest_blocks(blocks)


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Return whether two float arrays are equal bit for bit."""
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    return left.shape == right.shape and bool((left.view(np.uint64) == right.view(np.uint64)).all())


def load_config(*names: str, magnetic_input: str = "cup2020") -> dict:
    """Return configuration files merged as Snakemake merges them, as rules see them: of_input."""

    def merge(into: dict, other: dict) -> None:
        for key, value in other.items():
            if isinstance(value, dict) and isinstance(into.get(key), dict):
                merge(into[key], value)
            else:
                into[key] = value

    config = {}
    for name in names:
        merge(config, read_yaml(REPOSITORY / "config" / name))
    config["magnetic"]["input"] = magnetic_input
    return of_input(config)
