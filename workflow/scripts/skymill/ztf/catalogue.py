"""Extract one night's tarball into one Parquet file of stamps, sorted by candid.

The tarball is read as a stream and never unpacked. Workers get its files in batches, whose borders
depend only on the tarball. They return the alerts that are kept as rows.
"""

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

from skymill.alerts.tarball import Night, Part, Stretch, read_parts
from skymill.engine.gzipped import open_file
from skymill.engine.parallel import map_stream
from skymill.engine.products import new_file
from skymill.ztf.check import CORRUPT, OTHER_REASONS
from skymill.ztf.decode import Choice, Decoded, decode_batch
from skymill.ztf.store import SortedStamps, StampsWriter

logger = logging.getLogger(__name__)

BATCH_BYTES = 5 * 2**19
"""Minimum number of bytes of alert files in a batch: about 40 alerts."""

BATCH_PARTS = 256
"""Maximum number of files and stretches in a batch."""

OFFENDERS = 20
"""Number of losses that the manifest lists; the quarantine lists all."""


def extract_night(
    raw: Path,
    night: str,
    *,
    stamps: Path,
    quarantine: Path,
    choice: Choice,
    opener: Callable[[Path], BinaryIO] = open_file,
    workers: int = 1,
) -> dict:
    """Read a night's alerts and write its stamps and its quarantine.

    Parameters
    ----------
    raw, night
        A tarball (gzip or not) or a folder of Avro files, and the night's name.
    stamps
        Parquet file of schema.stamps_schema, one row per kept alert, ascending by candid.
    quarantine
        JSON lines, one per loss: member, record, cause, detail, and number of records. Alerts of
        objects without a label are only counted.
    choice
        Which alerts to keep.
    opener
        Opens the tarball, or each file of the folder.
    workers
        Threads that decode, and take turns at reading. One more thread writes. The bytes are the
        same for any number.

    Returns
    -------
    The content of the manifest: `files`, `counts` (records = kept + unlabelled + null_cutout +
    wrong_shape + dropped_at_edge + no_data + corrupt + duplicates), `truncated` with the reason in
    `broken_off`, and the first losses in `offenders`.
    """
    seen = Night()
    tally = _Tally()
    decode = partial(decode_batch, choice=choice)
    batches = _batches(read_parts(raw, seen, opener))
    stamps.parent.mkdir(parents=True, exist_ok=True)
    with (
        # In the folder of the output, which has enough space. The file has no name, so a killed
        # run leaves no file behind.
        tempfile.TemporaryFile(dir=stamps.parent, buffering=0) as file,
        new_file(stamps) as sorted_stamps,
        new_file(quarantine) as path,
        open(path, "w", encoding="utf-8") as log,
        SortedStamps(sorted_stamps, file, night, choice.crop) as output,
    ):
        for result in map_stream(decode, batches, workers=workers, what=f"extract {night}"):
            tally.add(result, log)
            output.add(result.rows)
        written, entry, duplicates = output.finish()
    counts = tally.counts(seen, written, duplicates)
    if seen.broken_off:
        logger.warning(
            "%s is not whole: %s; alerts that were read are kept", raw.name, seen.broken_off
        )
    return {
        "files": [{**entry, "name": stamps.name}],
        "night": night,
        "counts": counts,
        "truncated": seen.broken_off is not None,
        "broken_off": seen.broken_off,
        "offenders": tally.offenders,
        "ignored": seen.ignored_names,
    }


def _batches(
    parts: Iterable[Part | Stretch],
) -> Iterator[list[Part | Stretch]]:
    """Collect files into batches that are large enough for a worker."""
    batch, size = [], 0
    for part in parts:
        batch.append(part)
        size += part.size
        if size >= BATCH_BYTES or len(batch) == BATCH_PARTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Tally:
    """Counts the kept and lost records of a night."""

    def __init__(self):
        self.records = 0
        self.read_slowly = 0
        self.reasons: Counter = Counter()
        self.offenders: list[dict] = []
        self._before = 0

    def add(self, result: Decoded, log: TextIO) -> None:
        """Count a batch and write its losses to the log."""
        self.read_slowly += result.read_slowly
        self.reasons.update(result.reasons)
        before = []
        for name, continued, count in result.seen:
            # A long file arrives in parts: its records are numbered across the parts.
            self._before = self._before if continued else 0
            before.append((name, self._before))
            self._before += count
            self.records += count
        for part, record, cause, detail, records in result.rejected:
            name, earlier = before[part]
            loss = {"member": name, "record": earlier + record, "cause": cause, "detail": detail}
            loss["records"] = records
            log.write(json.dumps(loss) + "\n")
            if len(self.offenders) < OFFENDERS:
                self.offenders.append(loss)

    def counts(self, seen: Night, written: StampsWriter, duplicates: int) -> dict:
        """Return all counts, after a check that every record is accounted for."""
        corrupt = {cause: self.reasons[cause] for cause in CORRUPT if self.reasons[cause]}
        others = {reason: self.reasons[reason] for reason in OTHER_REASONS}
        lost = sum(others.values()) + sum(corrupt.values()) + duplicates
        if written.rows + lost != self.records:
            raise AssertionError(
                f"{self.records:,} records, but {written.rows:,} kept and {lost:,} lost"
            )
        return {
            "members": seen.members,
            "ignored_members": seen.ignored,
            "notes_of_macos": seen.notes,
            "records": self.records,
            "kept": written.rows,
            **others,
            # Unlabelled records whose object is in the list with another spelling.
            "respelt": self.reasons["respelt"],
            "duplicates": duplicates,
            "corrupt": sum(corrupt.values()),
            "corrupt_by_cause": corrupt,
            "recovered": written.recovered,
            "alerts_with_nan": written.alerts_with_nan,
            "nan_pixels": dict(
                zip(("science", "template", "difference"), written.nan_pixels.tolist(), strict=True)
            ),
            "read_one_by_one": self.read_slowly,
        }
