"""Lists, sizes, times and names in texts for people."""

from collections.abc import Iterable

SHOWN = 10
"""Items of a list that are printed. For more items, only the number of the rest is printed."""

FEW = 4
"""The most items in a sentence."""


def listed(items: Iterable, shown: int = SHOWN, indent: str = "  ") -> str:
    """Return a list as text: one item per line, then the number of items beyond `shown`.

    The text begins with a line feed, which ends the line before.
    """
    items = list(items)
    lines = [f"\n{indent}{item}" for item in items[:shown]]
    if len(items) > shown:
        lines.append(f"\n{indent}and {len(items) - shown:,} more")
    return "".join(lines)


def utf8(name: str) -> str:
    """Return a name as text that can be written: bytes that are not UTF-8 are escaped."""
    return name.encode(errors="backslashreplace").decode()


def size_text(size: float) -> str:
    """Return a number of bytes with its unit: 12.3 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def clock_text(seconds: float) -> str:
    """Return a duration: 0:32, or 1:05:32 with hours."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def counted(number: int, one: str) -> str:
    """Return a number with its noun: 1 product, 2 products."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"
