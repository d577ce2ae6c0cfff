"""Whether the products in `data/` were made under the records in `.snakemake/`.

Snakemake notes in `.snakemake/` with which parameters it made each file. Of products that were
copied without these notes, or that another checkout has written meanwhile, it knows nothing, or
something that is no longer true. So each run gives both folders a new name, the same one. Where the
names differ, the manifests have to tell what is stale, see lineage.made_otherwise.
"""

import secrets
from pathlib import Path

NAMES = (Path(".snakemake/skymill_home"), Path("data/.skymill_home"))


def is_home(root: Path) -> bool:
    """Return whether the last run that wrote to `data/` used the records that are here."""
    ours, theirs = ((root / path).read_text() if (root / path).exists() else None for path in NAMES)
    return ours is not None and ours == theirs


def settle(root: Path) -> None:
    """Note that a run begins here: what is in `data/` belongs to the records that are here."""
    name = secrets.token_hex(16) + "\n"
    for path in NAMES:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(name)
