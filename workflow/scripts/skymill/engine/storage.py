"""Documents and sizes of a results folder that a storage provider of Snakemake keeps.

The code uses only methods of storage objects that all storage plugins of Snakemake have.
"""

import asyncio
import functools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from skymill.engine.errors import SkymillError
from skymill.engine.names import PRODUCT_AREAS, RAW, SHARED_RAW
from skymill.engine.products import is_document, read_document, write_json
from skymill.engine.staleness import Folder


class StorageFolder(Folder):
    """As Folder, for a results folder in object storage.

    Parameters
    ----------
    storage
        Returns the storage object of an address.
    prefix, results
        The address below which the provider keeps all files, and the results folder below it.
    """

    def __init__(self, storage: Callable, prefix: str, results: str):
        super().__init__(Path)
        self._storage, self._prefix, self._results = storage, prefix.rstrip("/"), results
        self.address = f"{self._prefix}/{results}"

    def again(self) -> "StorageFolder":
        """Return the same folder with empty caches."""
        return StorageFolder(self._storage, self._prefix, self._results)

    def object(self, name: str):
        """Return the storage object of a file, by its name."""
        if name.startswith(RAW):
            return self._storage(f"{self._prefix}/{SHARED_RAW}/{name.removeprefix(RAW)}")
        return self._storage(f"{self.address}/{name}")

    def _document(self, name: str) -> dict | SkymillError | None:
        if not self._is_there(name):
            return None
        with tempfile.TemporaryDirectory() as folder:
            # Not where Snakemake keeps its own copy: Snakemake would use an old copy as the new.
            place = Path(folder) / Path(name).name
            found = self.object(name)
            found.set_local_path(place)
            found.retrieve_object()
            try:
                return read_document(place)
            except SkymillError as error:
                return SkymillError(str(error).replace(str(place), name))

    def _is_there(self, name: str) -> bool:
        # Shared raw files are not in the listing of this results folder.
        return self.object(name).exists() if name.startswith(RAW) else self.size(name) is not None

    def _size(self, name: str) -> int | None:
        sizes = self._sizes
        if name in sizes:
            return sizes[name]
        inside = f"{name}/"
        return 0 if any(other.startswith(inside) for other in sizes) else None

    def write(self, name: str, content: dict) -> None:
        """Write a JSON file."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / Path(name).name
            write_json(place, content)
            stored = self.object(name)
            stored.set_local_path(place)
            stored.store_object()

    def documents(self) -> set[str]:
        """Return the names of all documents of products in the folder."""
        areas = tuple(f"{area}/" for area in PRODUCT_AREAS)
        return {name for name in self._sizes if name.startswith(areas) and is_document(name)}

    def _written(self, name: str) -> float:
        return self.object(name).mtime()

    def listing(self, name: str) -> dict[str, int]:
        """Return the files directly in a folder and their sizes."""
        below = {
            other.removeprefix(f"{name}/"): size
            for other, size in self._sizes.items()
            if other.startswith(f"{name}/")
        }
        return {
            own: size for own, size in below.items() if "/" not in own and not own.startswith(".")
        }

    @functools.cached_property
    def _sizes(self) -> dict[str, int]:
        """The bytes of all objects below the results folder, by name, from one listing."""
        cache = SimpleNamespace(exists_in_storage={}, mtime={}, size={})
        first = self.object("products.json")
        # Snakemake's own event loop runs in this thread, so asyncio.run needs another thread.
        thread = threading.Thread(target=asyncio.run, args=[first.inventory(cache)])
        thread.start()
        thread.join()
        ending = str(first.cache_key()).removesuffix("products.json")
        return {str(key).removeprefix(ending): size for key, size in cache.size.items()}
