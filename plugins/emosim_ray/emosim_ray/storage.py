"""Storage: where cells leave their files, if the nodes of a cluster share no folder; any address that fsspec knows."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from emosim_core import ConfigurationError, EmoSimError, MissingDependencyError, RunError

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}
"""Extra of emosim-ray that brings what a kind of address needs."""

Digests = dict[str, str]
"""SHA-256 of files by their names in a folder."""


class Storage:
    """Files by their place and name. Keys, hosts and regions come from the environment of each process.

    Args:
        url: such as ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: it is no such address, or has a password in it.
        MissingDependencyError: a package is missing.
    """

    def __init__(self, url: str) -> None:
        check_url(url)
        scheme = urlsplit(url).scheme
        try:
            import fsspec

            self._files, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            extra = _EXTRAS.get(scheme, "storage")
            raise MissingDependencyError(
                f"the storage {url}", error.name or str(error), f'pip install "emosim-ray[{extra}]"'
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"the storage {url} is no address that fsspec knows: {error}") from error
        self.url, self._root = url, root.rstrip("/")
        self._has_folders = scheme not in _EXTRAS  # an object store would make a bucket of a misspelled name

    def put(self, folder: Path, names: Iterable[str], place: str) -> Digests:
        """Store files of a folder.

        Raises:
            RunError: that fails.
        """
        digests = {}
        with self._wording("cannot be written"):
            for name in names:
                digests[name] = _digest(folder / name)
                path = f"{self._root}/{place}/{name}"
                if self._has_folders:
                    self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(folder / name), path)
        return digests

    def get(self, place: str, name: str, digest: str, path: Path) -> None:
        """Fetch a file.

        Raises:
            RunError: that fails, or it is another one.
        """
        with self._wording("cannot be read"):
            self._files.get_file(f"{self._root}/{place}/{name}", str(path))
        if _digest(path) != digest:
            raise RunError(f"the storage {self.url} has another file than was stored as {place}/{name}")

    def remove(self, place: str) -> None:
        """Remove all files of a place, if there are any.

        Raises:
            RunError: that fails.
        """
        with self._wording("cannot be cleared"), contextlib.suppress(FileNotFoundError):
            self._files.rm(f"{self._root}/{place}", recursive=True)

    @contextlib.contextmanager
    def _wording(self, what: str) -> Iterator[None]:
        try:
            yield
        except EmoSimError:
            raise
        except Exception as error:  # those of the package of each service
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise RunError(f"the storage {self.url} {what}: {why}") from error


def check_url(url: str) -> None:
    """See that an address names a place and no secret.

    Raises:
        ConfigurationError: it does not; the message has no secret either.
    """
    parts: Any = urlsplit(url)
    if not parts.scheme or "://" not in url:
        raise ConfigurationError("the option storage is an address such as s3://bucket/prefix")
    if parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the address of the storage, {parts.scheme}://..., has a password or parameters in it; keys belong into "
            "the environment of each node"
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
