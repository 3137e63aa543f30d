"""The world: items, users, ratings, emotions and memories. Imports nothing of the project but errors."""

from emosim_core.model.catalog import Catalog as Catalog
from emosim_core.model.domain import Domain as Domain
from emosim_core.model.domain import Example as Example
from emosim_core.model.domain import StudyUsers as StudyUsers
from emosim_core.model.domain import Words as Words
from emosim_core.model.emotion import Emotion as Emotion
from emosim_core.model.emotion import EmotionThresholds as EmotionThresholds
from emosim_core.model.emotion import MoodOptions as MoodOptions
from emosim_core.model.item import Item as Item
from emosim_core.model.loader import CatalogSetting as CatalogSetting
from emosim_core.model.loader import ItemLoader as ItemLoader
from emosim_core.model.loader import LoadedItems as LoadedItems
from emosim_core.model.loader import LoadedRatings as LoadedRatings
from emosim_core.model.loader import PopulationSetting as PopulationSetting
from emosim_core.model.loader import UserLoader as UserLoader
from emosim_core.model.memory import History as History
from emosim_core.model.memory import Interaction as Interaction
from emosim_core.model.memory import Memory as Memory
from emosim_core.model.names import Names as Names
from emosim_core.model.profile import CategoryProfile as CategoryProfile
from emosim_core.model.profile import PopulationProfile as PopulationProfile
from emosim_core.model.scale import RatingScale as RatingScale
from emosim_core.model.user import Population as Population
from emosim_core.model.user import User as User
