"""Compiled inner loops of a step, where numba is installed; the NumPy code beside each call answers the same bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from emosim_core.errors import ConfigurationError

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels

KERNELS_VARIABLE = "EMOSIM_KERNELS"
"""Environment variable that switches the kernels off (``0``); otherwise they are used where numba is installed."""


def load_kernels() -> Kernels | None:
    """The kernels; None where numba is not installed or ``EMOSIM_KERNELS`` is ``0``.

    Raises:
        ConfigurationError: ``EMOSIM_KERNELS`` is neither ``0`` nor ``1``.
    """
    wanted = os.environ.get(KERNELS_VARIABLE) or "1"
    if wanted not in ("0", "1"):
        raise ConfigurationError(
            f"{KERNELS_VARIABLE}={wanted!r}: 0 switches the compiled kernels off, 1 is the default"
        )
    if wanted == "0":
        return None
    try:
        import numba  # noqa: F401
    except ImportError:
        return None
    from emosim_core.kernels.compiled import Kernels

    return Kernels()
