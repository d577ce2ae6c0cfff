"""Small SDOBenchmark trees and zips, written file by file."""

import io
import zipfile
import zlib
from datetime import datetime, timedelta

import numpy as np
from PIL import Image

HEADER = "id,start,end,peak_flux\n"
OFFSETS = [0, 420, 630, 710]


def jpeg(seed=0, *, size=(256, 256), mode="L", description=None, black=False):
    """Return the bytes of a small JPEG of coarse noise."""
    bands = len(mode) if mode != "L" else 1
    blocks = np.random.default_rng(seed).integers(1, 255, (8, 8, bands), dtype=np.uint8)
    grey = (
        np.zeros((*size, bands), np.uint8)
        if black
        else np.kron(blocks, np.ones((size[0] // 8, size[1] // 8, 1), np.uint8))
    )
    picture = Image.fromarray(grey[..., 0] if bands == 1 else grey, mode)
    exif = Image.Exif()
    if description:
        exif[0x010E] = description
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=60, exif=exif)
    return stream.getvalue()


def image_name(start, minutes, channel):
    time = datetime.fromisoformat(start[:19]) + timedelta(minutes=minutes)
    return f"{time:%Y-%m-%dT%H%M%S}__{channel}.jpg"


def row(region, time, flux="1e-09", number=0):
    """Return (id, start, end, flux) of a sample whose window ends at the time in its folder."""
    end = datetime.fromisoformat(time)
    start = end - timedelta(hours=12)
    folder = f"{end:%Y_%m_%d_%H_%M_%S}_{number}"
    return f"{region}_{folder}", f"{start}.000000000", f"{end}.000000000", flux


def write_tree(root, training, test, images=None):
    """Write a tree: rows of both sets, and the images of each sample by its id.

    `images` maps an id to {file name: bytes}. None means no folder. A sample that is not in
    `images` gets two good images.
    """
    images = images or {}
    for part, rows in (("training", training), ("test", test)):
        (root / part).mkdir(parents=True, exist_ok=True)
        lines = "".join(",".join(cells) + "\n" for cells in rows)
        (root / part / "meta_data.csv").write_text(HEADER + lines)
        for number, (sample_id, start, *_) in enumerate(rows):
            default = {
                image_name(start, minutes, channel): jpeg(
                    zlib.crc32(f"{part} {number} {minutes}".encode())
                )
                for minutes, channel in ((0, "94"), (710, "magnetogram"))
            }
            files = images.get(sample_id, default)
            if files is None:
                continue
            region, _, folder = sample_id.partition("_")
            home = root / part / region / folder
            home.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (home / name).write_bytes(content)
    return root


def write_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    """Write a zip of (name, content) or (ZipInfo, content) in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path
