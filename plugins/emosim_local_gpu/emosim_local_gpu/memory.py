"""Memory: free memory of a device, and errors that mean that memory ran out."""

from __future__ import annotations

import gc
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GIB = 2**30

_SAYS = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory|bad allocation", re.I)


def is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _SAYS.search(str(error)) is not None


def available(device: torch.device) -> int | None:
    """Free bytes of a device; None if unknown."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    with suppress(OSError), open("/proc/meminfo", encoding="ascii") as table:
        if match := re.search(r"^MemAvailable:\s+(\d+) kB", table.read(), re.MULTILINE):
            return int(match[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def free(device: torch.device) -> None:
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def in_words(count: int | None) -> str:
    """Bytes as text, in GiB."""
    if count is None:
        return "an unknown amount"
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:.1f} MiB"
