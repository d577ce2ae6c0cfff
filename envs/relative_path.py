"""Have an editable install name this checkout by a path from the environment to it.

    .venv/bin/python envs/relative_path.py

Python reads such files in the encoding of the locale: with LC_ALL=C a path with other letters than
those of English would end every start of Python.
"""

import os
import sysconfig
from pathlib import Path


def main() -> None:
    """Rewrite the file that pip has written."""
    site = Path(sysconfig.get_path("purelib"))
    for path in site.glob("__editable__.skymill-*.pth"):
        place = path.read_text(encoding="utf-8").strip()
        if Path(place).is_absolute():
            path.write_text(os.path.relpath(place, site) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
