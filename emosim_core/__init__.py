"""EmoSim: simulated people for recommender systems.

The public names are those of ``__init__.pyi``. Each is imported when it is used, so that
``import emosim_core`` is instant. What is not listed there is free to change.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
