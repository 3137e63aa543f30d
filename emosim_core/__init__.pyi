"""The public names of EmoSim and where each lives; `__init__.py` imports them when they are used."""

from .api import (
    make as make,
)
from .api import (
    make_vec as make_vec,
)
from .api import (
    register_environment as register_environment,
)
from .api import (
    run as run,
)
from .api import (
    train as train,
)
from .components.attributes import (
    AttributeRetrieval as AttributeRetrieval,
)
from .components.base import (
    BeginRequest as BeginRequest,
)
from .components.base import (
    Draws as Draws,
)
from .components.base import (
    Observations as Observations,
)
from .components.base import (
    PerturbationRequest as PerturbationRequest,
)
from .components.base import (
    PerturbationSituation as PerturbationSituation,
)
from .components.base import (
    Perturbator as Perturbator,
)
from .components.base import (
    Policy as Policy,
)
from .components.base import (
    PolicySetting as PolicySetting,
)
from .components.base import (
    Rater as Rater,
)
from .components.base import (
    RatingRequest as RatingRequest,
)
from .components.base import (
    Ratings as Ratings,
)
from .components.base import (
    RecommendationOutcome as RecommendationOutcome,
)
from .components.base import (
    RecommendationRequest as RecommendationRequest,
)
from .components.base import (
    Retrieval as Retrieval,
)
from .components.base import (
    RetrievalRequest as RetrievalRequest,
)
from .components.base import (
    RetrievalSituation as RetrievalSituation,
)
from .components.base import (
    RewardShaping as RewardShaping,
)
from .components.base import (
    SelectionRequest as SelectionRequest,
)
from .components.base import (
    SelectionSituation as SelectionSituation,
)
from .components.base import (
    Selector as Selector,
)
from .components.base import (
    ShapingRequest as ShapingRequest,
)
from .components.base import (
    ShapingSetting as ShapingSetting,
)
from .components.base import (
    ShapingSituation as ShapingSituation,
)
from .components.base import (
    Situation as Situation,
)
from .components.base import (
    WorldSetting as WorldSetting,
)
from .components.ranking import (
    NEVER as NEVER,
)
from .components.ranking import (
    best_positions as best_positions,
)
from .components.retrieval import (
    CountOptions as CountOptions,
)
from .data.bundled import (
    BundledItems as BundledItems,
)
from .data.cells import (
    is_number as is_number,
)
from .data.cells import (
    known_rating as known_rating,
)
from .data.cells import (
    known_text as known_text,
)
from .data.cells import (
    number as number,
)
from .data.cells import (
    plain_text as plain_text,
)
from .data.cells import (
    shortened as shortened,
)
from .data.cells import (
    whole_number as whole_number,
)
from .data.embeddings import (
    Embedded as Embedded,
)
from .data.embeddings import (
    EmbeddingOptions as EmbeddingOptions,
)
from .data.embeddings import (
    build_bundled_embeddings as build_bundled_embeddings,
)
from .data.embeddings import (
    embed_items as embed_items,
)
from .data.embeddings import (
    load_array as load_array,
)
from .data.embeddings import (
    load_bundled_embeddings as load_bundled_embeddings,
)
from .data.embeddings import (
    save_bundled_embeddings as save_bundled_embeddings,
)
from .data.formats import (
    Format as Format,
)
from .data.formats import (
    Release as Release,
)
from .data.formats import (
    open_format as open_format,
)
from .data.generated_users import (
    CategoryProfile as CategoryProfile,
)
from .data.generated_users import (
    GeneratedUsers as GeneratedUsers,
)
from .data.generated_users import (
    GeneratedUsersOptions as GeneratedUsersOptions,
)
from .data.generated_users import (
    PopulationProfile as PopulationProfile,
)
from .data.generated_users import (
    generate_users as generate_users,
)
from .data.items_csv import (
    CsvItems as CsvItems,
)
from .data.items_csv import (
    CsvItemsOptions as CsvItemsOptions,
)
from .data.items_csv import (
    read_items_csv as read_items_csv,
)
from .data.json_records import (
    read_json_entries as read_json_entries,
)
from .data.json_records import (
    read_json_lines as read_json_lines,
)
from .data.lists import (
    list_of_names as list_of_names,
)
from .data.lists import (
    list_of_numbers as list_of_numbers,
)
from .data.lists import (
    list_separator as list_separator,
)
from .data.lists import (
    split_names as split_names,
)
from .data.objects import (
    list_of_objects as list_of_objects,
)
from .data.places import (
    TablePlace as TablePlace,
)
from .data.places import (
    existing_file as existing_file,
)
from .data.places import (
    open_table as open_table,
)
from .data.record_embeddings import (
    RecordEmbeddings as RecordEmbeddings,
)
from .data.record_embeddings import (
    RecordEmbeddingsOptions as RecordEmbeddingsOptions,
)
from .data.releases import (
    open_release as open_release,
)
from .data.releases import (
    read_table as read_table,
)
from .data.releases import (
    table_in as table_in,
)
from .data.tables import (
    TableForm as TableForm,
)
from .data.tables import (
    UniqueIds as UniqueIds,
)
from .data.tables import (
    checked as checked,
)
from .data.tables import (
    read_csv as read_csv,
)
from .data.tables import (
    read_rows as read_rows,
)
from .data.tables import (
    write_csv as write_csv,
)
from .data.users_csv import (
    CsvUsers as CsvUsers,
)
from .data.users_csv import (
    CsvUsersOptions as CsvUsersOptions,
)
from .data.users_csv import (
    read_users_csv as read_users_csv,
)
from .data.users_csv import (
    write_users_csv as write_users_csv,
)
from .errors import (
    BrokenPluginError as BrokenPluginError,
)
from .errors import (
    ConfigurationError as ConfigurationError,
)
from .errors import (
    DataError as DataError,
)
from .errors import (
    EmoSimError as EmoSimError,
)
from .errors import (
    IncompatiblePluginError as IncompatiblePluginError,
)
from .errors import (
    LLMAuthenticationError as LLMAuthenticationError,
)
from .errors import (
    LLMBudgetError as LLMBudgetError,
)
from .errors import (
    LLMError as LLMError,
)
from .errors import (
    LLMMalformedError as LLMMalformedError,
)
from .errors import (
    LLMRateLimitError as LLMRateLimitError,
)
from .errors import (
    LLMRefusedError as LLMRefusedError,
)
from .errors import (
    LLMReplayError as LLMReplayError,
)
from .errors import (
    LLMRequestError as LLMRequestError,
)
from .errors import (
    LLMTransientError as LLMTransientError,
)
from .errors import (
    MissingDependencyError as MissingDependencyError,
)
from .errors import (
    NameConflictError as NameConflictError,
)
from .errors import (
    PluginError as PluginError,
)
from .errors import (
    RatingError as RatingError,
)
from .errors import (
    RunError as RunError,
)
from .errors import (
    TrustError as TrustError,
)
from .errors import (
    UnknownNameError as UnknownNameError,
)
from .hooks.component import (
    Component as Component,
)
from .hooks.registry import (
    Registry as Registry,
)
from .hooks.spec import (
    HOOK_VERSION as HOOK_VERSION,
)
from .hooks.spec import (
    hookimpl as hookimpl,
)
from .llm.backend import (
    LLMBackend as LLMBackend,
)
from .llm.chat import (
    ChatAnswer as ChatAnswer,
)
from .llm.chat import (
    ChatRequest as ChatRequest,
)
from .llm.chat import (
    Message as Message,
)
from .llm.chat import (
    Usage as Usage,
)
from .llm.prices import (
    Price as Price,
)
from .llm.prompt_strategy import (
    PromptStrategy as PromptStrategy,
)
from .llm.prompt_strategy import (
    Reply as Reply,
)
from .llm.redaction import (
    Redactor as Redactor,
)
from .model.catalog import (
    Catalog as Catalog,
)
from .model.domain import (
    Domain as Domain,
)
from .model.domain import (
    Example as Example,
)
from .model.domain import (
    StudyUsers as StudyUsers,
)
from .model.domain import (
    Words as Words,
)
from .model.emotion import (
    Emotion as Emotion,
)
from .model.emotion import (
    EmotionThresholds as EmotionThresholds,
)
from .model.emotion import (
    MoodOptions as MoodOptions,
)
from .model.item import (
    Item as Item,
)
from .model.loader import (
    ItemLoader as ItemLoader,
)
from .model.loader import (
    LoadedItems as LoadedItems,
)
from .model.loader import (
    LoadedRatings as LoadedRatings,
)
from .model.loader import (
    PopulationSetting as PopulationSetting,
)
from .model.loader import (
    UserLoader as UserLoader,
)
from .model.memory import (
    History as History,
)
from .model.memory import (
    Interaction as Interaction,
)
from .model.memory import (
    Memory as Memory,
)
from .model.names import (
    Names as Names,
)
from .model.population import (
    Population as Population,
)
from .model.scale import (
    RatingScale as RatingScale,
)
from .model.user import (
    User as User,
)
from .simulation.assembly import (
    World as World,
)
from .simulation.assembly import (
    assemble as assemble,
)
from .simulation.config import (
    EnvironmentConfig as EnvironmentConfig,
)
from .simulation.config import (
    RunConfig as RunConfig,
)
from .simulation.env import (
    EmoSimEnv as EmoSimEnv,
)
from .simulation.sb3_vec_env import (
    StableBaselines3VecEnv as StableBaselines3VecEnv,
)
from .simulation.vector_env import (
    EmoSimVectorEnv as EmoSimVectorEnv,
)
from .studies.study import (
    Metric as Metric,
)
from .studies.study import (
    RatedTrials as RatedTrials,
)
from .studies.study import (
    Study as Study,
)
from .studies.study import (
    StudySetting as StudySetting,
)
from .studies.study import (
    Trial as Trial,
)
from .studies.study import (
    Trials as Trials,
)
from .studies.study import (
    success_share as success_share,
)
from .training.recommender import (
    Recommendation as Recommendation,
)
from .training.recommender import (
    Recommender as Recommender,
)
from .training.recommender import (
    load_recommender as load_recommender,
)
