"""Export stamps in the published layout of one `.npy` file per alert."""

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from skymill.engine.errors import SkymillError
from skymill.engine.products import new_directory
from skymill.engine.tables import ParquetFile
from skymill.ztf.object_ids import OBJECT_ID
from skymill.ztf.write import open_array, require_aligned

_OBJECT_ID = re.compile(OBJECT_ID)


def write_alert_files(
    table: Path, array: Path, directory: Path, *, by_candid: bool
) -> tuple[list[dict], dict]:
    """Write each sampled alert as `alert_{object_id}_stamps_3d.npy`, the published layout.

    Parameters
    ----------
    table, array
        The gathered alerts and their stamps.
    directory
        The folder of the files: float32 of shape (3, crop, crop).
    by_candid
        Whether the name includes the candid: `alert_{object_id}_{candid}_stamps_3d.npy`. Without
        the candid, several alerts of an object would overwrite each other.

    Returns
    -------
    files
        The `files` part of the manifest, in the order of the names.
    counts
        Files, bytes, and files by label.
    """
    from tqdm import tqdm

    stamps = open_array(array)
    require_aligned(table, stamps)
    header = _npy_header(stamps.shape[1:])
    digests, by_label, total = {}, {}, 0
    with new_directory(Path(directory)) as temporary:
        progress = tqdm(_keys(table), "alert files", len(stamps), disable=None, leave=False)
        for row, (object_id, candid, label, sampled) in enumerate(progress):
            if not sampled:
                continue
            name = _alert_name(object_id, candid, by_candid)
            if name in digests:
                raise SkymillError(
                    f"two alerts would be written to {directory}/{name}. Set ztf.representative "
                    "to a value that keeps one alert per object, or to all."
                )
            content = header + stamps[row].tobytes()
            (temporary / name).write_bytes(content)
            digests[name] = hashlib.sha256(content).hexdigest()
            by_label[label] = by_label.get(label, 0) + 1
            total += len(content)
        found = sum(1 for _ in temporary.iterdir())
        if found != len(digests):
            raise SkymillError(
                f"{found:,} files were written for {len(digests):,} alerts, because this file "
                "system ignores letter case in names. Put data/ on a case-sensitive file system."
            )
    files = [
        {"name": name, "bytes": total // len(digests), "sha256": digests[name], "rows": 1}
        for name in sorted(digests)
    ]
    counts = {"files": len(digests), "bytes": total, "records_by_label": by_label}
    return files, counts


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of a `.npy` file of float32."""
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def _keys(table: Path) -> Iterator[tuple[str, int, str, bool]]:
    """Yield object_id, candid, label and sampled of each row."""
    columns = ["object_id", "candid", "label", "sampled"]
    for batch in ParquetFile(table).iter_batches(columns=columns):
        yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)


def _alert_name(object_id: str, candid: int, by_candid: bool) -> str:
    """Return the file name of an alert."""
    if not _OBJECT_ID.fullmatch(object_id):
        raise SkymillError(
            f"object id {object_id!r} cannot be in a file name. Set ztf.alert_files: false."
        )
    middle = f"{object_id}_{candid}" if by_candid else object_id
    return f"alert_{middle}_stamps_3d.npy"
