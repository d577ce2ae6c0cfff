"""Parquet files with the project's fixed settings, so that equal tables make equal bytes.

Each page has a checksum, and every read compares it. So a job that reads some columns or rows of a
large file finds damage in these columns or rows, without reading the rest.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from skymill.engine.arrays import to_arrow
from skymill.engine.errors import SkymillError
from skymill.engine.products import changed_at_rest, new_file

if TYPE_CHECKING:
    import pandas as pd


CATEGORIES = b"categories"
"""The key of a field's metadata that has its categories in order, as a JSON list."""


def categorical(name: str, categories: Iterable[str], *, nullable: bool = True) -> pa.Field:
    """Return the field of a column of names with a declared order.

    Every file that `write_parquet` writes has all categories in this order, also those that do not
    occur in the file. So the codes mean the same in all files. A file without rows has the
    categories only in the field's metadata: Parquet stores no dictionary for a column without rows.
    """
    kind = pa.dictionary(pa.int8(), pa.string())
    return pa.field(name, kind, nullable, metadata={CATEGORIES: json.dumps([*categories])})


def describe_columns(schema: pa.Schema, shapes: dict[str, list[int]] | None = None) -> list[dict]:
    """Return the name and type of each column, and the shape if a row has several values.

    The type is the type of one value. A shape has -1 where the length differs from row to row.
    `shapes` has the shapes of lists whose fields have no shape in their metadata.
    """
    columns = []
    for field in schema:
        kind, shape = field.type, None
        if pa.types.is_fixed_size_list(kind):
            known = (field.metadata or {}).get(b"shape")
            shape = json.loads(known) if known else (shapes or {}).get(field.name, [kind.list_size])
        elif pa.types.is_list(kind):
            shape = [-1]
        while pa.types.is_dictionary(kind) or pa.types.is_nested(kind):
            kind = kind.value_type
        column = {"name": field.name, "type": str(kind)}
        columns.append(column if shape is None else {**column, "shape": shape})
    return columns


def in_declared_order(table: pa.Table) -> pa.Table:
    """Return a table whose categorical columns have the declared categories, in their order.

    Values that are not declared follow the declared values. Columns without declared categories do
    not change.
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and CATEGORIES in (field.metadata or {}):
            declared = json.loads(field.metadata[CATEGORIES])
            column = table.column(place).unify_dictionaries()
            found = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
            names = [*declared, *(name for name in found if name not in declared)]
            code = to_arrow([names.index(name) for name in found], pa.int8())
            chunks = [
                pa.DictionaryArray.from_arrays(
                    code.take(chunk.indices), to_arrow(names, pa.string())
                )
                for chunk in column.chunks
            ]
            table = table.set_column(place, field, pa.chunked_array(chunks, field.type))
    return table


def parquet_settings(schema: pa.Schema, *, page_checksums: bool = True) -> dict:
    """Return the project's settings of a Parquet file, for pyarrow.parquet.

    Floats and lists of floats are stored byte-stream-split. uint64 columns are stored as they are,
    because they are hashes, which rarely repeat. Strings and other integers are stored as
    dictionaries. All columns are compressed with zstd at its fast level -1 (measured on windows:
    the size of level 1 in half the time). Pages have checksums unless `page_checksums` is false.
    """
    floats, hashes, lists = [], [], []
    for field in schema:
        if pa.types.is_floating(field.type):
            floats.append(field.name)
        elif pa.types.is_uint64(field.type):
            hashes.append(field.name)
        elif pa.types.is_fixed_size_list(field.type):
            lists.append(field.name)
    others = [name for name in schema.names if name not in {*floats, *hashes, *lists}]
    split = [*floats, *(f"{name}.list.element" for name in lists)]
    return {
        "compression": "zstd",
        "compression_level": -1,
        "use_dictionary": others,
        "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        "write_statistics": others,
        "write_page_checksum": page_checksums,
    }


def write_parquet(
    path: Path, table: pa.Table, *, rows_per_group: int, page_checksums: bool = True
) -> dict:
    """Write a table with the project's fixed settings and return its entry for a manifest.

    Categorical columns have their declared categories, see `categorical`. After writing, the footer
    is read back and the number of rows is compared.
    """
    table = in_declared_order(table)
    buffer = io.BytesIO()
    settings = parquet_settings(table.schema, page_checksums=page_checksums)
    pq.write_table(table, buffer, row_group_size=rows_per_group, **settings)
    content = buffer.getbuffer()
    path.write_bytes(content)
    rows = pq.read_metadata(path).num_rows
    if rows != table.num_rows:
        raise SkymillError(
            f"{path} has {rows:,} rows instead of {table.num_rows:,}. The disk may be full or "
            "faulty: check it and run again."
        )
    digest = hashlib.sha256(content).hexdigest()
    return {"name": path.name, "bytes": len(content), "sha256": digest, "rows": rows}


def write_table(path: Path, table: pa.Table, *, rows_per_group: int = 2**17) -> dict:
    """Write a table that is a whole product, atomically; return its entry for a manifest."""
    with new_file(path) as temporary:
        entry = write_parquet(temporary, table, rows_per_group=rows_per_group)
    return {**entry, "name": path.name}


class ParquetFile(pq.ParquetFile):
    """A Parquet file that is opened for reading; the checksums of its pages are compared.

    Raises
    ------
    SkymillError
        When the file is damaged, here or in any method that reads; the message names the file.
    """

    def __init__(self, path: Path, *, memory_map: bool = False):
        self._path = path
        with _named(path):
            super().__init__(path, memory_map=memory_map, page_checksum_verification=True)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows, with the given columns in this order, or with all columns."""
        with _named(self._path):
            return self._ordered(super().read(columns, use_threads=False), columns)

    def read_row_group(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a row group; columns as for `read`."""
        with _named(self._path):
            table = super().read_row_group(number, columns, use_threads=False)
            return self._ordered(table, columns)

    def read_row_groups(
        self, numbers: Sequence[int], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Return the rows of some row groups, one after the other; columns as for `read`."""
        with _named(self._path):
            table = super().read_row_groups(numbers, columns, use_threads=False)
            return self._ordered(table, columns)

    def iter_batches(
        self,
        batch_size: int = 65536,
        row_groups: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some row groups, of all by default; columns as for `read`."""
        batches = super().iter_batches(
            batch_size, row_groups=row_groups, columns=columns, use_threads=False
        )
        while True:
            with _named(self._path):
                batch = next(batches, None)
                if batch is None:
                    return
                batch = self._ordered(batch, columns)
            yield batch

    def _ordered(self, found, columns: Sequence[str] | None):
        """Return a table or batch with its columns in the requested order."""
        if columns is None:
            return found
        try:
            return found.select(columns)
        except KeyError as error:
            raise pa.ArrowInvalid(f"it has no column {error}") from None


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn Arrow's errors about a damaged file into an error that names the file."""
    try:
        yield
    except MemoryError:  # Arrow's memory error is also an ArrowException
        raise
    except pa.ArrowException as error:
        raise changed_at_rest(path, str(error)) from error
    except OSError as error:
        if error.errno is not None:  # an error of the disk, not of the content
            raise
        raise changed_at_rest(path, str(error)) from error


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file as a table, see ParquetFile."""
    with ParquetFile(path) as file:
        return file.read(columns)


def read_frame(path: Path, names: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return a table as a data frame, or these columns: strings as str, nullable int64 as Int64."""
    # Imported here, because most jobs and all workers do not need pandas.
    import pandas as pd

    table = read_table(path, names)
    columns = {}
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_dictionary(field.type):
            column = column.cast(pa.string())
        if pa.types.is_integer(field.type) and field.nullable:
            columns[field.name] = pd.array(column, dtype="Int64")
        else:
            columns[field.name] = column.to_numpy(zero_copy_only=False)
    return pd.DataFrame(columns)
