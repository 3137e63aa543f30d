"""The world: items, users, ratings, emotions and memories. Imports nothing of the project but errors."""

from emosim_core.model.catalog import Catalog
from emosim_core.model.domain import Domain, Example, StudyUsers, Words
from emosim_core.model.emotion import Emotion, EmotionThresholds, MoodOptions
from emosim_core.model.item import Item
from emosim_core.model.loader import (
    CatalogSetting,
    ItemLoader,
    LoadedItems,
    LoadedRatings,
    PopulationSetting,
    UserLoader,
)
from emosim_core.model.memory import History, Interaction, Memory
from emosim_core.model.names import Names
from emosim_core.model.population import Population
from emosim_core.model.profile import CategoryProfile, PopulationProfile
from emosim_core.model.scale import RatingScale
from emosim_core.model.user import User

__all__ = [
    "Catalog",
    "CatalogSetting",
    "CategoryProfile",
    "Domain",
    "Emotion",
    "EmotionThresholds",
    "Example",
    "History",
    "Interaction",
    "Item",
    "ItemLoader",
    "LoadedItems",
    "LoadedRatings",
    "Memory",
    "MoodOptions",
    "Names",
    "Population",
    "PopulationProfile",
    "PopulationSetting",
    "RatingScale",
    "StudyUsers",
    "User",
    "UserLoader",
    "Words",
]
