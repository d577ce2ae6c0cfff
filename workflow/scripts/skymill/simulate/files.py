"""Simulated raw files: chunks written in parallel, joined in order, marked as simulated."""

import shutil
from pathlib import Path

from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_file, scratch_directory
from skymill.raw.files import write_sidecar
from skymill.simulate.magnetic import Layout, chunks, layout, write_chunk


def write_magnetic(
    raw: Path, partition: str, *, records: int, test_records: int, seed: int, workers: int = 1
) -> None:
    """Write one simulated file of the 2020 data set, and the sidecar that says `sample`.

    Parameters
    ----------
    records, test_records
        Total lines in the three training files, and lines in the test file.
    workers
        Processes. The bytes do not depend on them.
    """
    plan = layout(records, test_records, seed)
    raw.parent.mkdir(parents=True, exist_ok=True)
    with (
        new_file(raw) as temporary,
        scratch_directory(raw) as folder,
    ):
        work = [
            (plan, partition, number, folder / f"{number:05d}.jsonl")
            for number in range(chunks(plan, partition))
        ]
        map_pieces(_write_piece, work, workers=workers, what=f"simulate {partition}")
        with open(temporary, "wb") as whole:
            for *_, path in work:
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, whole, 2**20)
                path.unlink()
    write_sidecar(
        raw, "sample", simulator={"records": records, "test_records": test_records, "seed": seed}
    )


def _write_piece(piece: tuple[Layout, str, int, Path]) -> None:
    write_chunk(*piece)
