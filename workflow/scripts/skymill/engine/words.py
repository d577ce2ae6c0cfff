"""Lists, sizes, times and names as people read them."""

from collections.abc import Iterable

SHOWN = 10
"""Items of a list that are printed; of the others their number is."""

FEW = 4
"""Items that a sentence can hold."""


def listed(items: Iterable, shown: int = SHOWN, indent: str = "  ") -> str:
    """Return a list as text: one item a line, and how many more there are than `shown`.

    The text begins with the end of the line before.
    """
    items = list(items)
    lines = [f"\n{indent}{item}" for item in items[:shown]]
    if len(items) > shown:
        lines.append(f"\n{indent}and {len(items) - shown:,} more")
    return "".join(lines)


def utf8(name: str) -> str:
    """Return a name as text that can be written: bytes that are no UTF-8 are escaped."""
    return name.encode(errors="backslashreplace").decode()


def size_text(size: float) -> str:
    """Return a number of bytes with its unit: 12.3 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def clock_text(seconds: float) -> str:
    """Return a time: 0:32, or 1:05:32 with hours."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def counted(number: int, one: str) -> str:
    """Return a number and what is counted: 1 product, 2 products."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"
