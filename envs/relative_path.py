"""Make the editable install name this checkout by a path relative to the environment.

    .venv/bin/python envs/relative_path.py

Python reads the file of the install in the encoding of the locale. With LC_ALL=C, Python would fail
to start if the path had letters that are not ASCII.
"""

import os
import sysconfig
from pathlib import Path


def main() -> None:
    """Rewrite the file that pip wrote."""
    site = Path(sysconfig.get_path("purelib"))
    for path in site.glob("__editable__.skymill-*.pth"):
        place = path.read_text(encoding="utf-8").strip()
        if Path(place).is_absolute():
            path.write_text(os.path.relpath(place, site) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
