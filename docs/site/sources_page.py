"""The page of the archives, from config/sources.yaml."""

from pathlib import Path

import yaml

INTRODUCTION = """# Archives

This page is generated from `config/sources.yaml`, which says where `source: archive` downloads
raw files from. Sizes are approximate: no archive was asked. How to get the data is in
[Real data](../docs/real-data.md).

"""

ORIGINS = {"kaggle": "Kaggle", "url": "web"}


def page(root: Path) -> str:
    """Return the page in Markdown, with links as in a file of config/."""
    registry = yaml.safe_load((root / "config/sources.yaml").read_text(encoding="utf-8"))
    parts = [INTRODUCTION]
    for name, collection in registry["collections"].items():
        parts.append(
            f"## {name}\n\n{collection['title']}\n\n"
            f"- Page: <{collection['page']}>\n"
            f"- Licence: {collection['licence']}\n"
            f"- Cite: {collection['citation']}\n\n"
            "| file below `data/raw/` | origin | about GB | checked by |\n|---|---|---|---|\n"
        )
        parts += [_row(*file) for file in collection["files"].items()]
        parts.append("\n")
    return "".join(parts)


def _row(name: str, file: dict) -> str:
    origins = [_origin(kind, file) for kind in ORIGINS if kind in file]
    size = file.get("disk_gb", "")
    if wide := file.get("disk_gb_range"):
        size = f"{wide['least']:g} to {wide['most']:g}"
    return f"| `{name}` | {', or '.join(origins) or 'you'} | {size} | {_proof(file)} |\n"


def _origin(kind: str, file: dict) -> str:
    if kind == "kaggle":
        address = f"https://www.kaggle.com/datasets/{file[kind]}"
        return f"[Kaggle, version {file['version']}]({address})"
    host = file["url"].split("/")[2]
    return host if "{" in file["url"] else f"[{host}]({file['url']})"


def _proof(file: dict) -> str:
    """Return what a download is compared with, beside the length that the server announces."""
    known = [key for key in ("checksum", "checksums", "dataverse") if key in file]
    words = {
        "checksum": "checksum here",
        "checksums": "the archive's list of checksums",
        "dataverse": "the Dataverse's checksum",
    }
    if known:
        return words[known[0]]
    return "the checksum of the first download" if file.keys() & ORIGINS.keys() else ""
