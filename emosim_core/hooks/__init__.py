"""How plugins plug in: hook specifications, component descriptions, discovery and names."""

from emosim_core.hooks.component import KINDS, Component
from emosim_core.hooks.deprecations import deprecated
from emosim_core.hooks.registry import PluginRecord, Registry, Resolved
from emosim_core.hooks.spec import HOOK_VERSION, OLDEST_HOOK_VERSION, hookimpl

__all__ = [
    "HOOK_VERSION",
    "KINDS",
    "OLDEST_HOOK_VERSION",
    "Component",
    "PluginRecord",
    "Registry",
    "Resolved",
    "deprecated",
    "hookimpl",
]
