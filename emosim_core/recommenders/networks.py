"""Networks: from an observation to a score for every item, with the items that were consumed left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn
from torch.nn import functional

from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats
from emosim_core.model.user import LATENT
from emosim_core.recommenders.posterior import Posterior, PosteriorScores

_CATEGORY_SCALE = 2.0
"""Brings the categories of an item, whose squares sum to 1, to about the size of its other features."""

_SHRINK = 2.0
"""How many ratings as expected a user is taken to have given before."""

_REFINEMENT = 0.005
"""Factor on what ``bayes`` learns of items by reinforcement, so that it keeps what it begins with."""

_LATENT_WIDTH = dict(zip(LATENT, (3, 2), strict=True))

MASKED = -1e8
"""Score of an item that may not be recommended: finite, so that nothing becomes NaN, and below all others."""


@dataclass(frozen=True)
class NetOptions:
    """What a network is, without its weights.

    Attributes:
        kind: ``"cf"``, the collaborative-filtering policy of EmoSim-RL, ``"mlp"``, over compact features, or
            ``"bayes"``, over a posterior of the user.
        num_users: U, size of the population.
        items: N, size of the catalog.
        features: f, number of features of an item.
        history_length: L, interactions that an observation shows.
        low, high: lowest and highest rating of the scale.
        max_steps: steps after which an episode is cut off.
        embedding_dim: size of a user's embedding.
        hidden: sizes of the hidden layers.
        latent: which of traits and mood it reads, ``mlp`` only.
        candidates: K, the items that a training scores at once, the best of all; 0 for all.
        choice_places: S, the places of the slates whose clicks a choice model is learned from; 0 for no such model.
    """

    kind: str
    num_users: int
    items: int
    features: int
    history_length: int
    low: float
    high: float
    max_steps: int
    embedding_dim: int = 32
    hidden: tuple[int, ...] = (64, 64)
    latent: tuple[str, ...] = ()
    candidates: int = 0
    choice_places: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """The parts of an observation that the network reads."""
        if self.kind == "cf":
            return ("user", "consumed_items")
        user = ("user",) if self.kind == "bayes" else ()
        return (*user, *self.latent, "step", "history_items", "history_ratings", "history_mask", "consumed_items")

    @property
    def width(self) -> int:
        """Number of features of a user that :class:`Torso` gets."""
        if self.kind == "cf":
            return self.embedding_dim + 1
        return 3 + sum(_LATENT_WIDTH[part] for part in self.latent) + 2 * self.features


@dataclass(frozen=True)
class Net:
    """A network with what it begins with.

    Attributes:
        item_features: shape ``(N, f)``.
        public: public ratings, from -1 to 1, shape ``(N,)``.
        start: scores that an actor begins with, shape ``(N,)``.
        gain: score that a taste for an item begins with, per unit; ``mlp`` only.
        met: who is trained on, shape ``(U,)``.
        sharpness: score of an expected rating of the top of the scale; ``bayes`` only.
    """

    options: NetOptions
    item_features: NDArray[np.float32]
    public: NDArray[np.float32]
    start: NDArray[np.float32]
    gain: float
    met: NDArray[np.bool_]
    sharpness: float = 1.0

    @property
    def extractor(self) -> type[UserFeatures] | type[HistoryFeatures] | type[PosteriorFeatures]:
        if self.options.kind == "bayes":
            return PosteriorFeatures
        return UserFeatures if self.options.kind == "cf" else HistoryFeatures

    def torso(self, critic: bool = True) -> Torso:
        return Torso(self.options, critic)

    def head(self) -> ItemScores:
        return RefinedScores(self) if self.options.kind == "bayes" else ItemScores(self)


class Seen(NamedTuple):
    """What the parts of a network hand on of B users.

    Attributes:
        hidden: features, then what a hidden layer makes of them, shape ``(B, h)``.
        extra: what reaches the last layer as it is, the user bias, the taste or the posterior, shape ``(B, e)``.
        consumed: indices of consumed items, -1 for none, shape ``(B, M)``.
        candidates: indices i of the items to score, ``-1 - i`` for one that may not be recommended, shape ``(B, K)``;
            None for all items.
    """

    hidden: torch.Tensor
    extra: torch.Tensor
    consumed: torch.Tensor
    candidates: torch.Tensor | None


def _seen(features: torch.Tensor, extra: int, observation: dict[str, torch.Tensor]) -> Seen:
    candidates = observation.get("candidates")
    return Seen(
        features,
        features[:, features.shape[1] - extra :],
        observation["consumed_items"].long(),
        None if candidates is None else candidates.long(),
    )


class UserFeatures(BaseFeaturesExtractor):
    """The embedding of a user and a bias of that user, ``(B, embedding_dim + 1)``, and which items were consumed.

    Part of the collaborative-filtering policy of EmoSim-RL. A user who was never trained on has the
    mean of those who were (ours).
    """

    met: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, net: Net) -> None:
        options = net.options
        super().__init__(observation_space, options.width)
        # The user arrives one-hot, so that a linear map without bias is an embedding.
        self.embedding = nn.Linear(options.num_users, options.embedding_dim + 1, bias=False)
        self.register_buffer("met", torch.as_tensor(net.met.astype(np.float32)))
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[-1] = 0.0  # the user's bias

    def forward(self, observation: dict[str, torch.Tensor]) -> Seen:
        user = observation["user"].flatten(1) * self.met
        embedded = self.embedding(user)
        if not self.training:
            strangers = 1.0 - user.sum(1, keepdim=True)
            embedded = embedded + strangers * (self.embedding.weight @ self.met / self.met.sum())
        return _seen(embedded, 1, observation)


class HistoryFeatures(BaseFeaturesExtractor):
    """Compact features of a user: progress, what of the recent history was liked, and traits and mood where observed.

    With F_h the features of history item h, its surprise s_h is the rating above the public one, both
    from -1 to 1, and m = sum_h s_h / (n + 2) the user's leniency. The taste is the ridge regression
    (2 I + sum_h F_h F_h')^-1 sum_h (s_h - m) F_h: what the features explain together, shrunk to 0 where little is
    known.
    Output: ``(B, 3 + 2 f)``, or as many more as there are traits and moods: these first, the step, leniency, last
    surprise, exposure sum_h F_h / L and taste; and which items were consumed.
    """

    item_features: torch.Tensor
    public: torch.Tensor
    ridge: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, net: Net) -> None:
        options = net.options
        super().__init__(observation_space, options.width)
        self.register_buffer("item_features", torch.as_tensor(net.item_features))
        self.register_buffer("ridge", _SHRINK * torch.eye(options.features), persistent=False)
        self.register_buffer("public", torch.as_tensor(net.public))
        self._middle, self._half = (options.low + options.high) / 2, (options.high - options.low) / 2
        self._max_steps, self._latent = options.max_steps, options.latent

    def forward(self, observation: dict[str, torch.Tensor]) -> Seen:
        mask = observation["history_mask"]
        items = observation["history_items"].long()
        surprise = ((observation["history_ratings"] - self._middle) / self._half - self.public[items]) * mask
        leniency = surprise.sum(1, keepdim=True) / (mask.sum(1, keepdim=True) + _SHRINK)
        past = self.item_features[items] * mask[:, :, None]
        gram = torch.einsum("blf,blg->bfg", past, past) + self.ridge
        taste = torch.linalg.solve(gram, torch.einsum("bl,blf->bf", surprise - leniency, past))
        parts = [
            *(observation[part] - 2.0 if part == "traits" else observation[part] for part in self._latent),
            observation["step"] / self._max_steps,
            leniency,
            surprise[:, :1],
            past.mean(1),
            taste,
        ]
        return _seen(torch.cat(parts, dim=1), taste.shape[1], observation)


class PosteriorFeatures(BaseFeaturesExtractor):
    """The posterior of a user's tastes, :class:`~.posterior.Posterior`: for known users from the ratings they gave.

    Output: ``(B, 3 + 2 f)``, or as many more as there are traits and moods: these first, the step, the last surprise,
    exposure sum_h F_h / L and the posterior mean; and which items were consumed. Mean and covariance reach the last
    layer as they are.
    """

    item_features: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, net: Net) -> None:
        options = net.options
        super().__init__(observation_space, options.width)
        features, public = torch.as_tensor(net.item_features), torch.as_tensor(net.public)
        self.register_buffer("item_features", features)
        self.posterior = Posterior(features, public, options.num_users)
        self._middle, self._half = (options.low + options.high) / 2, (options.high - options.low) / 2
        self._max_steps, self._latent = options.max_steps, options.latent

    def forward(self, observation: dict[str, torch.Tensor]) -> Seen:
        mask, items = observation["history_mask"], observation["history_items"].long()
        ratings = (observation["history_ratings"] - self._middle) / self._half
        mean, covariance = self.posterior(observation["user"].flatten(1), items, ratings, mask)
        last = (ratings[:, :1] - self.posterior.expected[items[:, :1]]) * mask[:, :1]
        parts = [
            *(observation[part] - 2.0 if part == "traits" else observation[part] for part in self._latent),
            observation["step"] / self._max_steps,
            last,
            (self.item_features[items] * mask[:, :, None]).mean(1),
            mean,
        ]
        seen = _seen(torch.cat(parts, dim=1), mean.shape[1], observation)
        return seen._replace(extra=torch.cat([mean, covariance.flatten(1)], dim=1))


class Torso(nn.Module):
    """What stands between features and the last layers, in the form that actor-critic policies of sb3 ask for.

    ``cf`` has no hidden layer in the actor, and its critic, where there is one, reads the consumed vector (EmoSim-RL),
    whose weights are those of the items that it marks; ``mlp`` has the same hidden layers in both.
    """

    def __init__(self, options: NetOptions, critic: bool) -> None:
        super().__init__()
        cf, hidden = options.kind == "cf", list(options.hidden)
        self._width = options.width
        self._inner = options.embedding_dim if cf else self._width
        self.policy_net = layers(self._inner, [] if cf else hidden)
        self.latent_dim_pi, self.latent_dim_vf = hidden_width(options), hidden[-1]
        if critic:
            self.value_net = Critic(options)

    def forward(self, seen: Seen) -> tuple[Seen, torch.Tensor]:
        return self.forward_actor(seen), self.forward_critic(seen)

    def forward_actor(self, seen: Seen) -> Seen:
        return seen._replace(hidden=self.policy_net(seen.hidden[:, : self._inner]))

    def forward_critic(self, seen: Seen) -> torch.Tensor:
        value: torch.Tensor = self.value_net(seen)
        return value


class Critic(nn.Module):
    """The hidden layers of a critic.

    That of ``cf`` reads the vector that marks consumed items too, as the sum of their weights in the first layer.
    """

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        width, count, (first, *hidden) = options.width, options.items, options.hidden
        reads_consumed = options.kind == "cf"
        self.first, self.others = nn.Linear(width, first), layers(first, hidden)
        self.consumed = nn.Embedding(count + 1, first, padding_idx=count) if reads_consumed else None
        weight = nn.init.orthogonal_(torch.empty(first, width + count * reads_consumed), np.sqrt(2))
        nn.init.zeros_(self.first.bias)
        with torch.no_grad():
            self.first.weight.copy_(weight[:, :width])
            if self.consumed is not None:
                self.consumed.weight[:count] = weight[:, width:].T

    def forward(self, seen: Seen) -> torch.Tensor:
        value = self.first(seen.hidden)
        if self.consumed is not None:
            none = self.consumed.num_embeddings - 1
            items = torch.where(seen.consumed < 0, none, seen.consumed)
            value = value + functional.embedding_bag(items, self.consumed.weight, mode="sum", padding_idx=none)
        made: torch.Tensor = self.others(torch.tanh(value))
        return made


class ItemScores(nn.Module):
    """The last layer: one score for each item or candidate, :data:`MASKED` where it may not be recommended.

    score_i = b_i + (Q h + g * taste) F_i + w_i h + c h + c_0 + user bias: a score of its own for every item,
    one by the features of the item, so that what is learned of one item goes for similar ones, and a
    part that all items share, which a softmax ignores and a value needs. Only ``mlp`` has a taste, and
    only ``cf`` what an item is to one user alone, w_i h, and a user bias. b begins at the start of the net,
    g at its gain.
    """

    item_features: torch.Tensor

    def __init__(self, net: Net) -> None:
        super().__init__()
        options = net.options
        self.register_buffer("item_features", torch.tensor(net.item_features))
        self.bias = nn.Parameter(torch.as_tensor(net.start.copy()))
        width = hidden_width(options)
        self.query = nn.Linear(width, options.features)
        self.common = nn.Linear(width, 1)
        for linear in (self.query, self.common):
            nn.init.orthogonal_(linear.weight, 0.01)
            nn.init.zeros_(linear.bias)
        self.own = nn.Linear(width, options.items, bias=False) if options.kind == "cf" else None
        self.gain = nn.Parameter(torch.full((options.features,), net.gain)) if options.kind == "mlp" else None
        if self.own is not None:
            nn.init.orthogonal_(self.own.weight, 0.01)

    def forward(self, seen: Seen) -> torch.Tensor:
        """Scores of all items, ``(B, N)``, or of the candidates, ``(B, K)``."""
        if seen.candidates is None:
            scores = self.scores(seen, None)
            row, place = (seen.consumed >= 0).nonzero(as_tuple=True)
            return scores.index_put_((row, seen.consumed[row, place]), scores.new_tensor(MASKED))
        barred = seen.candidates < 0
        items = torch.where(barred, -1 - seen.candidates, seen.candidates)
        return self.scores(seen, items).masked_fill(barred, MASKED)

    def scores(self, seen: Seen, items: torch.Tensor | None) -> torch.Tensor:
        """Scores of all items, ``(B, N)``, or of ``items``, indices of shape ``(B, K)``; nothing is masked."""
        query, shared = self.query(seen.hidden), self.common(seen.hidden)
        if self.gain is not None:
            query = query + self.gain * seen.extra
        if self.own is not None:
            shared = shared + seen.extra
        scores = self._by_features(query, shared, items)
        if self.own is None:
            return scores
        own = self.own(seen.hidden) if items is None else _products(items, self.own.weight, seen.hidden)
        return scores + own

    def _by_features(self, query: torch.Tensor, shared: torch.Tensor, items: torch.Tensor | None) -> torch.Tensor:
        """b_i + shared + query F_i."""
        if items is None:
            return self.bias + shared + query @ self.item_features.T
        bias = functional.embedding(items, self.bias[:, None])[:, :, 0]
        return bias + shared + _products(items, self.item_features, query)


class RefinedScores(ItemScores):
    """The last layer of ``bayes``: scores of the posterior, which stay, and what is learned beside them.

    score_i = k (upper confidence bound_i + 0.005 (b_i + (Q h) F_i)) + c h + c_0, with k the sharpness of the net, the
    bound as a share of the top of the scale, and b and Q that begin at 0: it begins as the posterior says, and what all
    items share, the value of what comes later, is learned fastest.
    """

    refinement: torch.Tensor

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        low, high = net.options.low, net.options.high
        features, public = torch.as_tensor(net.item_features), torch.as_tensor(net.public)
        unit = net.sharpness * (high - low) / 2.0 / high
        self.posterior = PosteriorScores(features, public, unit, unit * (high + low) / (high - low))
        self.register_buffer("refinement", torch.tensor(_REFINEMENT * net.sharpness))
        self._width = features.shape[1] + 1
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.query.weight)

    def scores(self, seen: Seen, items: torch.Tensor | None) -> torch.Tensor:
        """As of :class:`ItemScores`."""
        mean = seen.extra[:, : self._width]
        covariance = seen.extra[:, self._width :].reshape(-1, self._width, self._width)
        bounds: torch.Tensor = self.posterior(mean, covariance, items)
        shared = self.common(seen.hidden) / self.refinement
        return bounds + self.refinement * self._by_features(self.query(seen.hidden), shared, items)


def _products(items: torch.Tensor, vectors: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Inner products of queries, ``(B, d)``, and the vectors, ``(N, d)``, of items, ``(B, K)``; shape ``(B, K)``."""
    return torch.bmm(functional.embedding(items, vectors), query[:, :, None])[:, :, 0]


class Actor(nn.Module):
    """Extractor, hidden layers and last layer in a row: from an observation to scores, without an algorithm."""

    def __init__(self, extractor: nn.Module, torso: Torso, head: ItemScores) -> None:
        super().__init__()
        self.extractor, self.torso, self.head = extractor, torso, head

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.head(self.torso.forward_actor(self.extractor(observation)))

    def weights(self) -> dict[str, torch.Tensor]:
        """All that :meth:`load_state_dict` needs; what belongs to a critic is left out."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("torso.value_net.")}


def hidden_width(options: NetOptions) -> int:
    """Number of features that the last layer weighs."""
    return options.embedding_dim if options.kind == "cf" else options.hidden[-1]


def layers(width: int, hidden: list[int]) -> nn.Sequential:
    """Linear layers, each with a tanh."""
    made: list[nn.Module] = []
    for size in hidden:
        linear = nn.Linear(width, size)
        nn.init.orthogonal_(linear.weight, np.sqrt(2))
        nn.init.zeros_(linear.bias)
        made += [linear, nn.Tanh()]
        width = size
    return nn.Sequential(*made)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Have torch use ``count`` threads within; several wait for each other longer than they work here."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def item_features(catalog: Catalog) -> NDArray[np.float32]:
    """Categories, public rating and how widely rated each item is, shape ``(N, C + 2)``.

    An item with n categories has 2 / sqrt(n) in each; public rating and log(1 + public count) are standardised.
    """
    categories = catalog.categories.astype(np.float64)
    categories *= _CATEGORY_SCALE / np.sqrt(np.maximum(categories.sum(axis=1, keepdims=True), 1.0))
    columns = [categories, public_ratings(catalog)[:, None], _standardised(np.log1p(catalog.public_counts))[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


def public_ratings(catalog: Catalog) -> Floats:
    """Standardised public ratings, shape ``(N,)``."""
    return _standardised(catalog.public_ratings)


def _standardised(values: NDArray) -> Floats:
    spread = float(values.std())
    return (values - values.mean()) / (spread if spread > 1e-9 else 1.0)
