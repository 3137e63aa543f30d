"""Toolbox for loaders of items and users: tables, archives, cells, embeddings, generated users.

Each function that reads raises :class:`~emosim_core.DataError` with the file, the row and the field.
"""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
