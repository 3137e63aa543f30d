"""The public names of ``emosim_core.testing`` and where each lives."""

from .backend import LLMBackendConformance as LLMBackendConformance
from .check import check_plugin as check_plugin
from .choices import PerturbatorConformance as PerturbatorConformance
from .choices import SelectorConformance as SelectorConformance
from .conformance import ComponentConformance as ComponentConformance
from .conformance import Outcome as Outcome
from .conformance import run_suite as run_suite
from .contract import RULES as RULES
from .contract import BrokenRuleError as BrokenRuleError
from .contract import Rule as Rule
from .contract import hold as hold
from .domain import DomainConformance as DomainConformance
from .fakes import ScriptedBackend as ScriptedBackend
from .fakes import ScriptedRater as ScriptedRater
from .policy import PolicyConformance as PolicyConformance
from .pytest_plugin import Emosim as Emosim
from .pytest_plugin import Finished as Finished
from .rater import RaterConformance as RaterConformance
from .retrieval import RetrievalConformance as RetrievalConformance
from .shaping import RewardShapingConformance as RewardShapingConformance
from .sources import ItemLoaderConformance as ItemLoaderConformance
from .sources import UserLoaderConformance as UserLoaderConformance
from .worlds import SmallWorld as SmallWorld
from .worlds import draws as draws
from .worlds import small_world as small_world
