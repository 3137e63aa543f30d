"""Language models: chat requests and answers, the protocol of a backend, prompt strategies, and their errors."""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
