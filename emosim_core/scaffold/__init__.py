"""Scaffold: plugins that `emosim plugins new` writes, complete and working, from templates or from a user's tables."""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
