"""Network: refuses connections of this process, so that what should need none is seen to need none."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any


def block_network(local: bool = True) -> Callable[[], None]:
    """Refuse every connection of this process that leaves the machine, and those within it unless ``local``.

    Returns what gives sockets back as they were.
    """
    originals = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}

    def guarded(name: str) -> Callable[[socket.socket, Any], Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            if not (local and _stays(self, address)):
                raise RuntimeError(f"tests use no network: {address!r}")
            return originals[name](self, address)

        return connect

    for name in originals:
        setattr(socket.socket, name, guarded(name))

    def unblock() -> None:
        for name, original in originals.items():
            setattr(socket.socket, name, original)

    return unblock


def _stays(one: socket.socket, address: Any) -> bool:
    if one.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return address[0] == "localhost" or str(address[0]).startswith(("127.", "::1"))
