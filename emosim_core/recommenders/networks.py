"""Networks: from an observation to a score for every item, with the items that were consumed left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats

_CATEGORY_SCALE = 2.0
"""Brings the categories of an item, whose squares sum to 1, to about the size of its other features."""

_SHRINK = 2.0
"""How many ratings as expected a user is taken to have given before."""

MASKED = -1e8
"""Score of an item that may not be recommended: finite, so that nothing becomes NaN, and below all others."""


@dataclass(frozen=True)
class NetOptions:
    """What a network is, without its weights.

    Attributes:
        kind: ``"cf"``, the collaborative-filtering policy of EmoSim-RL, or ``"mlp"``, over compact features.
        num_users: U, size of the population.
        items: N, size of the catalog.
        features: f, number of features of an item.
        history_length: L, interactions that an observation shows.
        low, high: lowest and highest rating of the scale.
        max_steps: steps after which an episode is cut off.
        embedding_dim: size of a user's embedding.
        hidden: sizes of the hidden layers.
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

    @property
    def keys(self) -> tuple[str, ...]:
        """The parts of an observation that the network reads."""
        if self.kind == "cf":
            return ("user", "consumed")
        return ("traits", "mood", "step", "history_items", "history_ratings", "history_mask", "consumed")


@dataclass(frozen=True)
class Net:
    """A network with what it begins with.

    Attributes:
        item_features: shape ``(N, f)``.
        public: public ratings, from -1 to 1, shape ``(N,)``.
        start: scores that an actor begins with, shape ``(N,)``.
        gain: score that a taste for an item begins with, per unit.
        met: who is trained on, shape ``(U,)``.
    """

    options: NetOptions
    item_features: NDArray[np.float32]
    public: NDArray[np.float32]
    start: NDArray[np.float32]
    gain: float
    met: NDArray[np.bool_]

    @property
    def extractor(self) -> type[UserFeatures] | type[HistoryFeatures]:
        return UserFeatures if self.options.kind == "cf" else HistoryFeatures

    def torso(self, critic: bool = True) -> Torso:
        return Torso(self.options, critic)

    def head(self) -> ItemScores:
        return ItemScores(self)


class UserFeatures(BaseFeaturesExtractor):
    """The embedding of a user, a bias of that user, and which items were consumed.

    Part of the collaborative-filtering policy of EmoSim-RL. A user who was never trained on has the
    mean of those who were (ours). Output: ``(B, embedding_dim + 1 + N)``.
    """

    met: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, net: Net) -> None:
        options = net.options
        super().__init__(observation_space, options.embedding_dim + 1 + options.items)
        # The user arrives one-hot, so that a linear map without bias is an embedding.
        self.embedding = nn.Linear(options.num_users, options.embedding_dim + 1, bias=False)
        self.register_buffer("met", torch.as_tensor(net.met.astype(np.float32)))
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[-1] = 0.0  # the user's bias

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        user = observation["user"].flatten(1) * self.met
        embedded = self.embedding(user)
        if not self.training:
            strangers = 1.0 - user.sum(1, keepdim=True)
            embedded = embedded + strangers * (self.embedding.weight @ self.met / self.met.sum())
        return torch.cat([embedded, observation["consumed"]], dim=1)


class HistoryFeatures(BaseFeaturesExtractor):
    """Compact features of a user: traits, mood, progress, and what of the recent history was liked.

    With F_h the features of history item h, its surprise s_h is the rating above the public one, both
    from -1 to 1, and m = sum_h s_h / (n + 2) the user's leniency. The taste is
    sum_h (s_h - m) F_h / (2 + sum_h F_h^2) for each feature: shrunk to 0 where little is known of it.
    Output: ``(B, 8 + 2 f + N)``: three traits, the mood, the step, leniency, last surprise, exposure
    sum_h F_h / L, taste, and which items were consumed.
    """

    item_features: torch.Tensor
    public: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, net: Net) -> None:
        options = net.options
        super().__init__(observation_space, 8 + 2 * options.features + options.items)
        self.register_buffer("item_features", torch.as_tensor(net.item_features))
        self.register_buffer("public", torch.as_tensor(net.public))
        self._middle, self._half = (options.low + options.high) / 2, (options.high - options.low) / 2
        self._max_steps = options.max_steps

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        mask = observation["history_mask"]
        items = observation["history_items"].long()
        surprise = ((observation["history_ratings"] - self._middle) / self._half - self.public[items]) * mask
        leniency = surprise.sum(1, keepdim=True) / (mask.sum(1, keepdim=True) + _SHRINK)
        past = self.item_features[items] * mask[:, :, None]
        taste = torch.einsum("bl,blf->bf", surprise - leniency, past) / (_SHRINK + past.square().sum(1))
        parts = [
            observation["traits"] - 2.0,
            observation["mood"],
            observation["step"] / self._max_steps,
            leniency,
            surprise[:, :1],
            past.mean(1),
            taste,
            observation["consumed"],
        ]
        return torch.cat(parts, dim=1)


class Torso(nn.Module):
    """What stands between features and the last layers, in the form that actor-critic policies of sb3 ask for.

    ``cf`` has no hidden layer in the actor, and its critic, where there is one, reads the consumed vector (EmoSim-RL);
    ``mlp`` has the same hidden layers in both.
    """

    def __init__(self, options: NetOptions, critic: bool) -> None:
        super().__init__()
        cf, self._extra, hidden = options.kind == "cf", extra_width(options), list(options.hidden)
        self._critic_sees_all = cf
        self._width = options.embedding_dim + 1 if cf else 8 + 2 * options.features
        self._inner = options.embedding_dim if cf else self._width
        self.policy_net = layers(self._inner, [] if cf else hidden)
        self.latent_dim_pi = hidden_width(options) + self._extra + options.items
        self.latent_dim_vf = hidden[-1]
        if critic:
            self.value_net = layers(self._width + options.items * self._critic_sees_all, hidden)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.policy_net(features[:, : self._inner])
        return torch.cat([hidden, features[:, self._width - self._extra :]], dim=1)

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        return self.value_net(features if self._critic_sees_all else features[:, : self._width])


class ItemScores(nn.Module):
    """The last layer: one score for each item, :data:`MASKED` where it was consumed.

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
        self._hidden, self._extra = hidden_width(options), extra_width(options)
        self.register_buffer("item_features", torch.as_tensor(net.item_features.T.copy()))
        self.bias = nn.Parameter(torch.as_tensor(net.start.copy()))
        self.query = nn.Linear(self._hidden, options.features)
        self.common = nn.Linear(self._hidden, 1)
        for linear in (self.query, self.common):
            nn.init.orthogonal_(linear.weight, 0.01)
            nn.init.zeros_(linear.bias)
        self.own = nn.Linear(self._hidden, options.items, bias=False) if options.kind == "cf" else None
        self.gain = nn.Parameter(torch.full((options.features,), net.gain)) if options.kind == "mlp" else None
        if self.own is not None:
            nn.init.orthogonal_(self.own.weight, 0.01)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden, extra, consumed = features.tensor_split([self._hidden, self._hidden + self._extra], dim=1)
        query, scores = self.query(hidden), self.bias + self.common(hidden)
        if self.own is not None:
            scores = scores + self.own(hidden) + extra
        if self.gain is not None:
            query = query + self.gain * extra
        scores = scores + query @ self.item_features
        return scores.masked_fill(consumed > 0.5, MASKED)


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


def extra_width(options: NetOptions) -> int:
    """Number of features, the last ones, that reach the last layer as they are: the user bias, or the taste."""
    return 1 if options.kind == "cf" else options.features


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
