"""Reports: what a user looks at after a run, a training, an evaluation or a study; and runs side by side.

``write_report`` writes the page that ``emosim report`` writes.
"""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
