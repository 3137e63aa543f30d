"""Reports: what a person looks at after a run, a training, an evaluation or a study; and runs side by side.

``write_report`` writes the page that ``emosim report`` writes, ``compare_runs`` finds what ``emosim compare`` prints.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
