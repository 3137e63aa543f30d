"""EmoSim: simulated users for recommender systems.

What a program starts with: functions, environments, configurations and errors. Plugins are written with
:mod:`emosim_core.plugins`, :mod:`emosim_core.loading` and :mod:`emosim_core.llm`, and tested with
:mod:`emosim_core.testing`. What these five modules do not list is free to change.
"""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
