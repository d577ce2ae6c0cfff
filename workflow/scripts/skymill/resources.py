"""Resources of jobs. Only cluster profiles use them; a retry after a failure gets more."""

from collections.abc import Callable
from pathlib import Path


def memory(base: int, each: int = 0, per_gb: int = 0, of: str | None = None) -> Callable:
    """Return `mem_mb` of a job: a fixed part, a part per thread, a part per GB of input `of`."""
    return lambda wildcards, input, threads, attempt: (
        attempt * round(base + each * threads + (per_gb * gigabytes(input[of]) if of else 0))
    )


def minutes(base: int, per_gb: int = 0, of: str | None = None) -> Callable:
    """Return `runtime` of a job: a fixed part, and a part per GB of the input named `of`."""
    return lambda wildcards, input, attempt: (
        attempt * round(base + (per_gb * gigabytes(input[of]) if of else 0))
    )


def gigabytes(files: str | list[str]) -> float:
    """Return the size of files, and of the files directly in folders, in GB (10^9 bytes).

    A night that was unpacked by hand has 100,000s of files. These are not counted: the size of the
    largest known night is used.
    """
    size = 0
    for path in map(Path, [files] if isinstance(files, str) else files):
        if not path.is_dir():
            size += path.stat().st_size
        elif path.match("ztf_public_*") or path.match("ztf/*"):
            size += 73e9
        else:
            size += sum(part.stat().st_size for part in path.iterdir())
    return size / 1e9
