"""A results folder at an address such as s3://bucket/project/data, read without Snakemake.

Credentials come from the environment, as the AWS tools read them (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ...).
"""

import functools

from skymill.engine.errors import SkymillError
from skymill.engine.names import PRODUCT_AREAS
from skymill.engine.products import check_document, is_document, parse_json
from skymill.engine.staleness import Folder


class RemoteFolder(Folder):
    """As Folder, for a results folder at an address. The folder is only read, never written.

    Raises
    ------
    SkymillError
        When the address cannot be read.
    """

    def __init__(self, address: str):
        from pyarrow.fs import FileSystem

        super().__init__(self._no_path)
        self.address = address.rstrip("/")
        try:
            self._files, self._root = FileSystem.from_uri(self.address)
        except (OSError, ValueError) as error:
            raise SkymillError(f"{address} cannot be read: {error}") from None

    def _no_path(self, name: str):
        raise ValueError(f"{name} is not on a disk")

    def _document(self, name: str) -> dict | SkymillError | None:
        if name not in self._sizes:
            return None
        try:
            return check_document(parse_json(self._read(name), name), name)
        except SkymillError as error:
            return error

    def read(self, name: str) -> dict | None:
        """Return a JSON object, or None when the file is missing."""
        return parse_json(self._read(name), name) if name in self._sizes else None

    def _read(self, name: str) -> bytes:
        with self._files.open_input_stream(f"{self._root}/{name}") as stream:
            return stream.read()

    def _size(self, name: str) -> int | None:
        return self._sizes.get(name)

    def documents(self) -> set[str]:
        """Return the names of all documents of products in the folder."""
        areas = tuple(f"{area}/" for area in PRODUCT_AREAS)
        return {name for name in self._sizes if name.startswith(areas) and is_document(name)}

    @functools.cached_property
    def _sizes(self) -> dict[str, int]:
        from pyarrow.fs import FileSelector, FileType

        try:
            found = self._files.get_file_info(FileSelector(self._root, recursive=True))
        except OSError as error:
            raise SkymillError(f"{self.address} cannot be read: {error}") from None
        return {
            info.path.removeprefix(f"{self._root}/"): info.size
            for info in found
            if info.type == FileType.File
        }
