"""Image checks and tensors of SDOBenchmark, compared with only decoding the images."""

import shutil
from pathlib import Path

from measure import Row, Section, at_most, interleaved, seconds
from PIL import Image

from skymill.engine.parallel import map_pieces
from skymill.sdo.catalogue import catalogue
from skymill.sdo.tables import read_set
from skymill.sdo.tensors import write_tensors
from skymill.sdo.tree import find_root
from skymill.sdo.unpack import unpack
from skymill.simulate.sdo import write_sdo

WORKERS = 2


def decode_all(paths: list[Path]) -> int:
    """Read and decode images. Return the number of images that could be decoded."""
    decoded = 0
    for path in paths:
        try:
            with Image.open(path) as picture:
                picture.load()
        except OSError:  # a damaged one
            continue
        decoded += 1
    return decoded


def measure_images(folder: Path, *, samples: int) -> Section:
    """Measure the catalogue of a simulated tree on two cores."""
    archive, tree = folder / "sdobenchmark.zip", folder / "sdo"
    write_sdo(
        archive, training_samples=samples, test_samples=30, copies=1, seed=20, workers=WORKERS
    )
    unpack(archive, tree, workers=WORKERS)
    root, _ = find_root(tree)
    paths = sorted(root.glob("t*/*/*/*.jpg"))
    pieces = [paths[at : at + 400] for at in range(0, len(paths), 400)]

    def check() -> None:
        catalogue(
            tree,
            str(root.relative_to(tree)),
            samples=folder / "samples.parquet",
            images=folder / "images.parquet",
            problems=folder / "problems.jsonl",
            workers=WORKERS,
        )

    check()
    sets = {
        name: [read_set(folder / f"{table}.parquet", name) for table in ("samples", "images")]
        for name in ("train", "test")
    }

    def write() -> None:
        for name, tables in sets.items():
            write_tensors(tree, *tables, folder / f"{name}.zarr", workers=WORKERS)

    def delete_tensors(contender: str) -> None:
        # Only a rerun deletes an earlier product, which takes a tenth of the time of writing it.
        for name in sets if contender == "tensors" else ():
            shutil.rmtree(folder / f"{name}.zarr", ignore_errors=True)

    contenders = {
        "checks": check,
        "tensors": write,
        "decoding": lambda: map_pieces(decode_all, pieces, workers=WORKERS, what="decode"),
    }
    both = dict.fromkeys(contenders, 2)
    timings = interleaved(contenders, dict.fromkeys(contenders, 4), both, delete_tensors)
    speed = {name: len(paths) / timing.best for name, timing in timings.items()}
    figures = {"images": len(paths), "seconds": seconds(timings)}
    return Section(
        "SDOBenchmark: image checks and tensors",
        [
            f"{len(paths):,} simulated images on two cores, including the start of the workers. "
            "The checks should reach 2,000 images per second, or at most 1.5 times the time of "
            "decoding with Pillow; the tensors at most 2 times. The tensors decode with "
            "simplejpeg."
        ],
        [
            Row("index and image checks", f"{speed['checks']:,.0f} images/s"),
            Row("tensors", f"{speed['tensors']:,.0f} images/s"),
            Row("decoding alone", f"{speed['decoding']:,.0f} images/s"),
            at_most(
                "index and image checks, time against decoding alone",
                speed["decoding"] / speed["checks"],
                1.5,
                "x",
                **figures,
            ),
            at_most(
                "tensors, time against decoding alone",
                speed["decoding"] / speed["tensors"],
                2,
                "x",
                **figures,
            ),
        ],
    )
