"""What a plugin's tests are made of: suites that hold it to the contract, fakes, and fixtures for pytest.

A suite is subclassed in a test module::

    from emosim_core.testing import RetrievalConformance


    class TestOldest(RetrievalConformance):
        component = "oldest"

The rules, one by one, are in the project's documentation of the hooks and in :data:`RULES`. The fixtures are those
of the pytest plugin :mod:`emosim_core.testing.pytest_plugin`, which a ``conftest.py`` switches on::

    pytest_plugins = ["emosim_core.testing.pytest_plugin"]
"""

from emosim_core.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
