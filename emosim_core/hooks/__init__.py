"""How plugins plug in: hook specifications, component descriptions, discovery and names."""

from emosim_core.hooks.component import KINDS as KINDS
from emosim_core.hooks.component import Component as Component
from emosim_core.hooks.deprecations import deprecated as deprecated
from emosim_core.hooks.registry import PluginRecord as PluginRecord
from emosim_core.hooks.registry import Registry as Registry
from emosim_core.hooks.registry import Resolved as Resolved
from emosim_core.hooks.spec import HOOK_VERSION as HOOK_VERSION
from emosim_core.hooks.spec import OLDEST_HOOK_VERSION as OLDEST_HOOK_VERSION
from emosim_core.hooks.spec import hookimpl as hookimpl
