"""Libraries: policies behind which a model of another library stands, trained on logs."""

from __future__ import annotations

import inspect
import io
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from emosim_core.components.base import Draws, PolicySetting, RecommendationRequest
from emosim_core.errors import ConfigurationError, EmoSimError, MissingDependencyError
from emosim_core.hooks.names import did_you_mean
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import option
from emosim_core.recommenders.fold_in import FoldIn, Neighbors
from emosim_core.recommenders.logs import LogOptions
from emosim_core.recommenders.profiles import ProfilePolicy

_LARGEST = 1 << 28
"""Scores, of users by items, that are held of a model that knows nobody but the users it was trained on."""

_PRIOR = 10.0
"""Ratings at the mean that an item's mean is shrunk by."""


class LibraryOptions(LogOptions):
    """Options of a library's models. All others are parameters of the model itself, such as ``factors=64``."""

    model_config = ConfigDict(frozen=True, extra="allow")

    algorithm: str = Field(min_length=1, description="Name of the model in its library.")
    feedback: Literal["ratings", "liked"] | None = option(
        None, "What it learns from: all ratings, or which items were liked.", unset="what the model is for"
    )
    liked_from: float = option(7.0, "Rating of 10 from which an item counts as liked.", ge=1, le=10)

    def learns_ratings(self, usual: bool) -> bool:
        """Whether the model learns from ratings, as it does if that is ``usual`` and nothing else is chosen."""
        return usual if self.feedback is None else self.feedback == "ratings"

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the model; a text that is JSON is what it says."""
        return {name: _value(one) for name, one in (self.__pydantic_extra__ or {}).items()}


class KnownUsersOptions(LibraryOptions):
    """The same for a library of which some models score the users alone whom they were trained on."""

    neighbors: int = option(
        20, "Trained users whose scores a new one gets, of models that have nothing else to go by.", ge=1, unit="users"
    )


def _value(written: Any) -> Any:
    try:
        return json.loads(written) if isinstance(written, str) else written
    except ValueError:
        return written


class LibraryPolicy(ProfilePolicy):
    """Base of policies that score by a model of a library.

    The model learns from the ratings of the logs, or, where it is one of choices, from the pairs of user and item that
    were liked. What it has to say of the user of an episode is said by a :class:`~emosim_core.recommenders.fold_in`,
    from the profile; of a profile in which nothing counts, by how many liked an item, or how it was rated. An item
    that a model of ratings cannot say anything of is taken to be rated as usual. Those that it was not trained on come
    last, and so do those of which a model of choices says nothing.

    Args:
        who: the model in words, for errors.
        of_ratings: whether it learns from ratings.
        model: the model, not trained yet.
    """

    deterministic = True

    options: LibraryOptions

    def __init__(self, options: LibraryOptions, who: str, of_ratings: bool, model: Any) -> None:
        super().__init__(options)
        self.who, self.of_ratings, self._untrained = who, of_ratings, model

    def train(self, model: Any, matrix: Any) -> FoldIn:
        """Train the model.

        Args:
            model: the model, not trained yet.
            matrix: a SciPy CSR matrix of the shape ``(V, M)``: ratings, or 1 for what was liked. No row is empty, and
                no column.
        """
        raise NotImplementedError

    def of_known_users(self, matrix: Any, score: Callable[[int], Floats]) -> FoldIn:
        """The fold-in of a model that scores nobody but the users it was trained on, by their numbers."""
        assert isinstance(self.options, KnownUsersOptions)
        count, items = matrix.shape
        if count * items > _LARGEST:
            raise ConfigurationError(
                f"{self.who} knows nobody but the users it was trained on, and its scores for {count:,} users and "
                f"{items:,} items are too many to hold; learn from logs of fewer users, or choose another model"
            )
        scores = np.array([score(user) for user in range(count)], dtype=np.float32)
        return Neighbors(scores, matrix, self.options.neighbors)

    def start(self, setting: PolicySetting) -> None:
        self._known = np.full(setting.batch_size, -1, dtype=np.intp)
        super().start(setting)

    def fit(self) -> None:
        from scipy import sparse

        users, items, values = self.logs.pairs()
        self._liked = -np.inf if self.of_ratings else self.catalog.scale.carry(self.options.liked_from)
        taken = values >= self._liked
        if not taken.any():
            raise ConfigurationError(
                f"{self.who} learns from what was liked, and no rating of {', '.join(self.options.logs)} is "
                f"{self._liked:.3g} or more; choose another threshold with liked_from, or feedback=ratings"
            )
        trained, users = np.unique(users[taken], return_inverse=True)
        self._items, items = np.unique(items[taken], return_inverse=True)
        values = values[taken] if self.of_ratings else np.ones(len(users))
        self._numbers = np.full(len(self.logs.user_ids), -1, dtype=np.intp)
        self._numbers[trained] = np.arange(len(trained))
        matrix = sparse.csr_matrix((values, (users, items)), shape=(len(trained), len(self._items)))
        counts = np.bincount(items).astype(np.float64)
        self._usual = counts
        if self.of_ratings:
            self._usual = (np.bincount(items, values) + _PRIOR * values.mean()) / (counts + _PRIOR)
        with library(self.who), one_thread():
            self._model = self.train(self._untrained, matrix)
        del self._untrained  # what is needed of it is in the fold-in, which can be pickled

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        if len(self.logs.user_numbers):
            users = self.logs.user_numbers[np.asarray(request.observations["user"]).ravel()]
            self._known[request.rows] = np.where(users < 0, -1, self._numbers[users])
        return super().recommend_batch(request, draws)

    def scores(self, rows: Ints) -> Floats:
        from scipy import sparse

        place = np.ix_(rows, self._items)
        ratings = self.ratings[place]
        row, column = np.nonzero(self.rated[place] & (ratings >= self._liked))
        values = ratings[row, column] if self.of_ratings else np.ones(len(row))
        profiles = sparse.csr_matrix((values, (row, column)), shape=ratings.shape)
        with library(self.who):
            trained = self._model.scores(profiles, self._known[rows])
        silent = ~np.isfinite(trained).any(axis=1) | ((np.diff(profiles.indptr) == 0) & ~trained.any(axis=1))
        trained[silent] = self._usual
        if self.of_ratings:  # as LensKit's own pipelines do
            trained = np.where(np.isfinite(trained), trained, self._usual)
        least = np.where(np.isfinite(trained), trained, np.inf).min(axis=1, keepdims=True) - 1.0
        scores = np.tile(least, (1, len(self.catalog)))
        scores[:, self._items] = np.where(np.isfinite(trained), trained, least)
        return scores


@contextmanager
def library(who: str) -> Iterator[None]:
    """Errors of a library become one message that says whose they are; what it warns of or prints is not shown."""
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except EmoSimError:
        raise
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise MissingDependencyError(who, package, f"pip install {package}") from error
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        raise ConfigurationError(f"{who} cannot be used: {type(error).__name__}: {text}") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for linear algebra, whose sums then have one order."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def named(models: Mapping[str, Callable[..., Any]], name: str, where: str) -> Callable[..., Any]:
    """A model by its name, whatever the case of its letters; a ConfigurationError where there is none."""
    match = models.get(name) or next((one for key, one in models.items() if key.lower() == name.lower()), None)
    if match is None:
        raise ConfigurationError(f"{where} has no model {name!r}.{did_you_mean(name, models)} {_list(models)}")
    return match


def made(
    make: Callable[..., Any],
    given: Mapping[str, Any],
    fixed: Mapping[str, Any],
    who: str,
    parameters: Iterable[str] | None = None,
) -> Any:
    """A model with its parameters, and those of ``fixed`` that it has and that were not given.

    Args:
        parameters: their names, where the signature of ``make`` does not say.

    Raises:
        ConfigurationError: it has no such parameter, or refuses a value.
    """
    known = [name for name in parameters or inspect.signature(make).parameters if name != "name"]
    for name in given:
        if name not in known:
            raise ConfigurationError(f"{who} has no parameter {name!r}.{did_you_mean(name, known)} {_list(known)}")
    with library(who), one_thread():
        return make(**{name: one for name, one in fixed.items() if name in known} | dict(given))


def _list(names: Iterable[str]) -> str:
    return f"There are: {', '.join(names)}."
