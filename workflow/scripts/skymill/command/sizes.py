"""`skymill sizes`: the size and the time of the downloads, before any download."""

from collections.abc import Iterable
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.yaml_files import read_yaml, require_schema
from skymill.estimate import HASHED, RATES, about
from skymill.paths import BRANCH_FOLDERS
from skymill.raw.choice import RawFiles
from skymill.raw.registry import Source, find_source, load_registry
from skymill.settings import in_force, of_input, require_bounded_file

CONFIG = Path("config/config.yaml")
OWN_CONFIG = Path(__file__).parents[4] / CONFIG
"""The configuration of this checkout, for working folders without their own configuration."""

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"

HEADER = ("branch", "files", "download", "already here", "account", "download time", "work time")


def sizes(configuration: Path | None, *, mbit: float, cores: int) -> str:
    """Return a table of the downloads of each branch with `source: archive`. It asks no server.

    Parameters
    ----------
    configuration
        A configuration file that is merged into config/config.yaml, like Snakemake's --configfile.
    mbit
        Download speed in megabits per second.
    cores
        Number of cores.

    Raises
    ------
    SkymillError
        When the file does not exist or is not a configuration.
    """
    config, registry = _read(configuration), load_registry()
    raw = RawFiles({**config, "source": "archive", "branches": list(BRANCH_FOLDERS)}, registry)
    rows, notes = [], []
    for branch in BRANCH_FOLDERS:
        files = raw.files(branch)
        sources = [find_source(registry, file) for file in files]
        here = [source for file, source in zip(files, sources, strict=True) if _is_there(raw, file)]
        wanted = [source for source in sources if source not in here]
        size, work = _gigabytes(wanted), _gigabytes(sources)
        rows.append(
            (
                branch if branch in config["branches"] else f"({branch})",
                f"{len(files):,}",
                f"{size:,.1f} GB",
                f"{_gigabytes(here):,.1f} GB",
                "Kaggle" if any(_needs_account(source) for source in wanted) else "none",
                about(size * 8000 / mbit),
                about(work * (RATES[branch] + HASHED) / cores),
            )
        )
        notes += [
            f"The table counts {source.disk_bytes / 1e9:g} GB per file of {branch}, but "
            f"{source.disk_range['of']} varies from {source.disk_range['least']:g} to "
            f"{source.disk_range['most']:g} GB."
            for source in wanted[:1]
            if source.disk_range
        ]
    lines = [*_table([HEADER, *rows]), "", *notes]
    lines.append(f"At {mbit:g} Mbit/s on {cores} cores. Sizes are from config/sources.yaml.")
    if any(row[0].startswith("(") for row in rows):
        lines.append("Branches in parentheses are switched off (`branches`).")
    return "\n".join(lines)


def _read(configuration: Path | None) -> dict:
    config = _settings(CONFIG if CONFIG.exists() else OWN_CONFIG)
    if configuration is not None:
        config = _merged(config, _settings(configuration))
    config = in_force(config)
    if SCHEMA.exists():
        require_schema(config, SCHEMA, "config")
    return of_input(config)


def _settings(path: Path) -> dict:
    """Return the settings of a configuration file."""
    if not path.is_file():
        raise SkymillError(f"there is no configuration {path}.")
    require_bounded_file(path)
    content = read_yaml(path)
    if not isinstance(content, dict | None):
        raise SkymillError(f"{path} contains no settings. Write settings as `key: value`.")
    return content or {}


def _merged(config: dict, more: dict) -> dict:
    """Merge the entries of another configuration into a configuration, section by section."""
    inner = {
        name: _merged(config[name], value)
        for name, value in more.items()
        if isinstance(value, dict) and isinstance(config.get(name), dict)
    }
    return {**config, **more, **inner}


def _is_there(raw: RawFiles, file: str) -> bool:
    return Path(raw.path(file)).exists()


def _needs_account(source: Source) -> bool:
    return bool(source.kaggle) and not source.addresses


def _gigabytes(sources: Iterable[Source]) -> float:
    return sum(source.disk_bytes for source in sources) / 1e9


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
