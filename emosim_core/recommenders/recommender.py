"""A trained recommender: its files, and what it recommends without a simulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from emosim_core.data import json_text
from emosim_core.data.files import write_whole
from emosim_core.errors import ConfigurationError, MissingDependencyError, RunError
from emosim_core.runs.job import MANIFEST
from emosim_core.runs.plain import own_files
from emosim_core.runs.reading import check, read_bytes, read_object
from emosim_core.runs.schemas import Count, Name, Number, Written
from emosim_core.runs.typed import typed

if TYPE_CHECKING:
    from emosim_core.recommenders.networks import Actor, NetOptions
    from emosim_core.recommenders.slate_networks import SlateActor

MODEL = "model"
"""The folder of a training that holds the recommender."""

DESCRIPTION = "recommender.json"
WEIGHTS = "weights.safetensors"
FORMAT = 4

INSTALL = 'pip install "emosim-core[train]"'

_LARGEST = 10_000_000
Size = Annotated[int, Field(ge=1, le=_LARGEST)]

_MIDDLE_TRAIT = 2
"""Stands for a trait that is not known."""


class _Item(Written):
    id: Name
    title: str


@with_config(strict=True, allow_inf_nan=False, extra="forbid")
class _Net(TypedDict):
    """The fields of NetOptions; sizes as large as any network that was ever trained here, and no larger."""

    kind: Literal["cf", "mlp", "bayes"]
    num_users: Size
    items: Size
    features: Size
    history_length: Annotated[int, Field(ge=0, le=_LARGEST)]
    low: Number
    high: Number
    max_steps: Size
    embedding_dim: Size
    hidden: list[Size]
    latent: list[Literal["traits", "mood"]]
    candidates: Annotated[int, Field(ge=0, le=_LARGEST)]
    choice_places: Annotated[int, Field(ge=0, le=_LARGEST)]


class _Description(Written):
    """What recommender.json holds."""

    format: Count
    algo: str
    domain: str
    timesteps: Count
    net: _Net
    items: list[_Item]
    users: list[str]


_DESCRIPTION = TypeAdapter(_Description)


@dataclass(frozen=True)
class Recommendation:
    """One item that is recommended.

    Attributes:
        item: its id.
        title: its title.
        score: what the network gives it; a logit, or with DQN a value. Only its order means something.
    """

    item: str
    title: str
    score: float


class Recommender:
    """Recommends items to a user by what the user consumed; made by :func:`load_recommender`.

    Attributes:
        items: ids of the items, in the order of the catalog.
        titles: their titles.
        users: ids of the users that it was trained among.
        metadata: what it was trained with: ``algo``, ``domain``, ``timesteps``, ``items_sha256`` and more.
    """

    def __init__(self, description: Mapping[str, Any], options: NetOptions, actor: Actor | SlateActor) -> None:
        self.metadata = dict(description)
        self.options = options
        self.items: list[str] = [item["id"] for item in description["items"]]
        self.titles: list[str] = [item["title"] for item in description["items"]]
        self.users: list[str] = list(description["users"])
        self._actor = actor
        self._index = {item: index for index, item in enumerate(self.items)}
        self._user = {user: index for index, user in enumerate(self.users)}

    def recommend(
        self,
        history: Iterable[tuple[str, float | None]],
        k: int = 10,
        *,
        user: str | None = None,
        traits: Sequence[int] | None = None,
        mood: tuple[float, float] | None = None,
    ) -> list[Recommendation]:
        """The k best items that are not in the history, best first; fewer where no more are left.

        Args:
            history: ids of consumed items with their ratings on the scale of the domain, oldest first; None
                for an item that was not rated, which is only left out.
            k: how many.
            user: id of a user that the recommender was trained among; ``cf`` knows nobody else, and
                takes the mean of those it was trained on for a stranger. ``bayes`` knows what a user rated then.
            traits: activity, conformity and diversity, 1 to 3; the middle where not known. For an ``mlp`` or
                ``bayes`` that was trained with the observation ``full``.
            mood: valence in [-1, 1] and arousal in [0, 1]; neutral and calm where not known. Likewise.

        Raises:
            ConfigurationError: an item, a rating, a user or a trait is none, or the recommender reads no traits or
                mood.
        """
        if k < 1:
            raise ConfigurationError(f"k must be at least 1, got {k}")
        past, low, high = list(history), self.options.low, self.options.high
        for item, rating in past:
            if item not in self._index:
                raise ConfigurationError(self.unknown_item(item))
            if rating is not None and not low <= rating <= high:
                raise ConfigurationError(f"the rating {rating!r} of {item!r} lies off the scale {low:g} to {high:g}")
        if user is not None and user not in self._user:
            raise ConfigurationError(f"the recommender was trained among nobody with the id {user!r}")
        known_traits = [_MIDDLE_TRAIT] * 3 if traits is None else list(traits)
        if len(known_traits) != 3 or not all(level in (1, 2, 3) for level in known_traits):
            raise ConfigurationError(f"traits are three levels from 1 to 3, got {known_traits!r}")
        for part, given in (("traits", traits), ("mood", mood)):
            if given is not None and part not in self.options.latent:
                raise ConfigurationError(
                    f"the recommender does not read {part}; one that does is trained with: emosim train "
                    "--policy-net mlp --observation full"
                )
        scores = self.scores(self._observations([past], [user], known_traits, mood or (0.0, 0.0)))[0]
        order = _best(scores, [self._index[item] for item, _ in past], k)
        return [Recommendation(self.items[i], self.titles[i], float(scores[i])) for i in order]

    def recommend_batch(
        self,
        histories: Sequence[Sequence[tuple[str, float | None]]],
        k: int,
        users: Sequence[str],
        exclude: Sequence[Sequence[str]],
    ) -> list[list[str]]:
        """The ids of the k best items of each of R users that are in neither history nor ``exclude``, best first.

        Args:
            histories: as that of :meth:`recommend`, R of them.
            users: ids, R of them; who is none that the recommender was trained among is a stranger.
            exclude: further ids to leave out, for each user.

        Raises:
            ConfigurationError: an item is none of the recommender's.
        """
        for item in (id_ for past in histories for id_, _ in past):
            if item not in self._index:
                raise ConfigurationError(self.unknown_item(item))
        known = [user if user in self._user else None for user in users]
        middle = [_MIDDLE_TRAIT] * 3
        scores = self.scores(self._observations([list(past) for past in histories], known, middle, (0.0, 0.0)))
        lists = []
        for row, past in enumerate(histories):
            out = [self._index[item] for item, _ in past]
            out += [self._index[item] for item in exclude[row] if item in self._index]
            lists.append([self.items[i] for i in _best(scores[row], out, k)])
        return lists

    def unknown_item(self, item: str) -> str:
        """What is wrong with the id of an item that the recommender does not know: for the message of an error."""
        from emosim_core.hooks.names import did_you_mean  # a recommender is asked without plugins

        same = [known for known, title in zip(self.items, self.titles, strict=True) if title.lower() == item.lower()]
        hint = f" Did you mean {same[0]!r}?" if same else did_you_mean(item, self.items)
        return f"the recommender knows no item {item!r}; an item is named by its id.{hint}"

    def _observations(
        self,
        pasts: Sequence[Sequence[tuple[str, float | None]]],
        users: Sequence[str | None],
        traits: Sequence[int],
        mood: tuple[float, float],
    ) -> dict[str, NDArray]:
        """Observations of R users, all with the same traits and mood."""
        rows, length = len(pasts), self.options.history_length
        items = np.zeros((rows, length), dtype=np.int64)
        ratings = np.full((rows, length), self.options.low, dtype=np.float32)
        mask = np.zeros((rows, length), dtype=np.int8)
        consumed = np.full((rows, max(map(len, pasts), default=0)), -1, dtype=np.int64)
        for row, past in enumerate(pasts):
            recent = [(self._index[item], rating) for item, rating in past if rating is not None][::-1][:length]
            for place, (item, rating) in enumerate(recent):
                items[row, place], ratings[row, place], mask[row, place] = item, rating, 1
            consumed[row, : len(past)] = [self._index[item] for item, _ in past]
        steps = [[min(len(past), self.options.max_steps)] for past in pasts]
        return {
            "user": np.array([-1 if user is None else self._user[user] for user in users]),
            "traits": np.tile(np.array(traits, dtype=np.int64), (rows, 1)),
            "mood": np.tile(np.array(mood, dtype=np.float32), (rows, 1)),
            "step": np.array(steps, dtype=np.int64),
            "history_items": items,
            "history_ratings": ratings,
            "history_mask": mask,
            "consumed_items": consumed,
        }

    def scores(self, observations: Mapping[str, NDArray]) -> NDArray[np.float32]:
        """Scores of all items, shape ``(R, N)``; -1e8 where consumed. A ConfigurationError where one is not finite.

        Args:
            observations: observations of R users, by name, with ``consumed_items``, indices of any number of items
                and -1 for none; ``user`` is an index into :attr:`users`, -1 for a stranger.
        """
        import torch

        from emosim_core.recommenders.networks import torch_threads

        tensors: dict[str, torch.Tensor] = {}
        for key in self.options.keys:
            values = observations[key]
            if key == "user":
                one_hot = np.zeros((len(values), self.options.num_users), dtype=np.float32)
                known = np.flatnonzero(values >= 0)
                one_hot[known, values[known]] = 1.0
                values = one_hot
            tensors[key] = torch.as_tensor(values, dtype=torch.float32)
        with torch.no_grad(), torch_threads(1):
            scores: NDArray[np.float32] = self._actor(tensors).numpy()
        if not np.isfinite(scores).all():
            raise ConfigurationError(
                f"the recommender of {self.metadata['domain']!r} scores items by what is no number: its training has "
                "diverged. Train anew with a lower --learning-rate"
            )
        return scores


def _best(scores: NDArray[np.float32], without: list[int], k: int) -> list[int]:
    """Indices of the k best items that are not in ``without``, best first, the first of equal ones first."""
    open_ = np.ones(len(scores), dtype=np.bool_)
    open_[without] = False
    items = np.flatnonzero(open_)
    if k < len(items):
        values = scores[items]
        items = items[values >= np.partition(values, len(values) - k)[len(values) - k]]
    return items[np.argsort(-scores[items], kind="stable")[:k]].tolist()


def load_recommender(path: str | Path) -> Recommender:
    """A recommender that ``emosim train`` left behind.

    Nothing of the simulator is loaded, and the files cannot run code: they hold JSON and plain tensors.

    Args:
        path: the directory of a training, or the folder ``model`` or ``best`` in it.

    Raises:
        ConfigurationError: there is no recommender.
        RunError: its files are damaged.
        MissingDependencyError: torch or stable-baselines3 is not installed.
    """
    folder = Path(path)
    if not (folder / DESCRIPTION).exists() and (folder / MODEL / DESCRIPTION).exists():
        folder = folder / MODEL
    if not (folder / DESCRIPTION).exists():
        raise _no_recommender(Path(path))
    own_files(folder)
    if folder.name == MODEL and folder.parent == Path(path) and folder.is_symlink():
        raise RunError(f"{folder} is a symbolic link, which is not followed; name the folder itself")
    description = _description(folder / DESCRIPTION)
    need_train("a trained recommender")
    from safetensors.torch import load

    from emosim_core.recommenders.weights import check_finite, empty_actor

    content = read_bytes(folder / WEIGHTS)
    try:
        weights = load(content)
        options, actor = empty_actor(description["net"])
        actor.load_state_dict(weights)
        check_finite(weights)
    except Exception as error:  # whatever the libraries make of bytes that are no weights
        raise RunError(
            f"{folder / WEIGHTS} is damaged, or does not belong to {DESCRIPTION} ({type(error).__name__}: {error})"
        ) from error
    return Recommender(description, options, actor)


def _no_recommender(path: Path) -> ConfigurationError:
    """Why a directory holds no trained recommender, and what to do."""
    begun = (path / MANIFEST).is_file()
    config = read_object(path / MANIFEST).get("config") if begun else None
    if isinstance(config, dict) and "policy" in config:
        return ConfigurationError(f"{path} is a run, no trained recommender; 'emosim train' makes one")
    what = f"{path} holds no trained recommender: it has no {MODEL}/{DESCRIPTION}"
    if isinstance(config, dict) and "algo" in config:
        again = typed("train", "--resume", path)
        return ConfigurationError(f"{what}. A training that was stopped has none yet; finish it with: {again}")
    return ConfigurationError(f"{what}; 'emosim train' makes one")


def _description(path: Path) -> dict[str, Any]:
    description = read_object(path, newest=FORMAT)
    check(path, description, _DESCRIPTION)
    net, items, users = description["net"], description["items"], description["users"]
    if (len(items), len(users)) != (net["items"], net["num_users"]):
        raise RunError(f"{path} is damaged: it names {len(items)} items and {len(users)} users, its net has others")
    if len({item["id"] for item in items}) < len(items) or len(set(users)) < len(users):
        raise RunError(f"{path} is damaged: an item or a user stands twice")
    return description


def save_recommender(folder: Path, description: Mapping[str, Any], weights: bytes) -> None:
    """Write the files of a recommender; whoever reads them finds the description last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS, weights)
    line = json_text.dumps({"format": FORMAT, **description}, ensure_ascii=False)
    write_whole(folder / DESCRIPTION, f"{line}\n".encode())


def need_train(what: str) -> None:
    """See that what trains is installed; else a :class:`~emosim_core.errors.MissingDependencyError`."""
    from importlib.util import find_spec

    for package in ("torch", "safetensors", "stable_baselines3", "sb3_contrib"):
        if find_spec(package) is None:
            raise MissingDependencyError(what, package.replace("_", "-"), INSTALL)
