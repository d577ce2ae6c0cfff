"""Damage to bytes, such as power cuts, bad disks, editors and attackers cause."""

from dataclasses import dataclass

import numpy as np

_POWERS = [(31, 0), (32, 1), (40, 0), (62, 0), (63, 0), (64, 1)]

NUMBERS = [
    *(bytes([byte]) for byte in (0, 1, 2, 0x7F, 0x80, 0xFF)),
    *(b"\xff" * count + b"\x01" for count in (1, 4, 8, 9)),
    *(b"\x80" * count + b"\x01" for count in (1, 4, 5, 8)),
    *(
        number.to_bytes(8, "little")
        for number in (2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)
    ),
    *(b"9" * count for count in (1, 5, 20, 400)),
    *(b'"', b",", b"\n", b"\r", b"\0", b"{", b"[" * 50, b"}", b":", b"-", b"e999", b"NaN", b";"),
]
"""Bytes that readers interpret as numbers, lengths or structure."""


@dataclass(frozen=True)
class Damage:
    """Damaged bytes, and the places of the damage.

    `places` are the first and the last changed byte of each change; `in_place` is true if all
    other bytes are at their old places.
    """

    content: bytes
    places: list[tuple[int, int]]
    in_place: bool


def damage(content: bytes, random: np.random.Generator) -> Damage:
    """Return bytes with a few changes."""
    changed, places, in_place = bytearray(content), [], True
    for _ in range(int(random.choice([1, 1, 1, 2, 4]))):
        if not changed:
            break
        at = int(random.integers(len(changed)))
        kind = int(random.integers(10))
        if kind < 7:
            new = _in_place(changed, at, kind, random)[: len(changed) - at]
            changed[at : at + len(new)] = new
            places.append((at, at + len(new)))
            continue
        in_place = False
        end = min(len(changed), at + int(random.integers(1, 2000)))
        places.append((at, len(content)))
        if kind == 7:
            del changed[at:]
        elif kind == 8:
            del changed[at:end]
        else:
            changed[at:at] = changed[at:end] * int(random.integers(1, 4))
    return Damage(bytes(changed), places, in_place)


def _in_place(content: bytearray, at: int, kind: int, random: np.random.Generator) -> bytes:
    """Return bytes that replace the bytes at a place."""
    if kind < 3:
        return bytes([content[at] ^ 1 << int(random.integers(8))])
    if kind == 3:
        return bytes([int(random.integers(256))])
    if kind == 4:
        return NUMBERS[int(random.integers(len(NUMBERS)))]
    if kind == 5:
        return random.bytes(int(random.integers(1, 64)))
    start = int(random.integers(len(content)))
    return bytes(content[start : start + int(random.integers(1, 64))])
