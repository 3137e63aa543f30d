"""Fixtures: the command line in a process of its own."""

pytest_plugins = ["emosim_core.testing.pytest_plugin"]
