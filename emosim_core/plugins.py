"""What a plugin is written with: hooks, the interfaces of its components, and what these are handed.

Loaders of items and users have helpers in :mod:`emosim_core.loading`, backends of language models and prompt strategies
their types in :mod:`emosim_core.llm`.
"""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
