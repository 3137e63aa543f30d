"""Posterior: what a user is like, given what all users are like and the ratings in an observation; and item scores."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from emosim_core.recommenders.rating_model import RatingModel

_DOUBT = 0.5
"""Variance of the weights of features and of the leniency, relative to the noise, before anything is learned."""

_NOISE = 0.33
"""Standard deviation of a rating, from -1 to 1, before anything is learned."""

OPTIMISM = 0.15
"""Standard deviations above expectation that an item is judged by, so that an episode finds out about its user."""


class Posterior(nn.Module):
    """The posterior of a user's v in a :class:`~.rating_model.RatingModel`, given the history of an observation.

    With prior mean m and precision P of this user, 0 and I for a stranger, and e_h, z_h of history item h::

        precision = P + sum_h z_h z_h'
        mean = precision^-1 (P m + sum_h z_h (r_h - e_h) / s)

    The last row of ``means`` and ``precisions`` is that of strangers.

    Args:
        features: of items, shape ``(N, f)``; d is f + 1.
        public: what is expected of items before anything is learned, shape ``(N,)``.
        num_users: U.
    """

    expected: torch.Tensor
    loadings: torch.Tensor
    noise: torch.Tensor
    means: torch.Tensor
    precisions: torch.Tensor

    def __init__(self, features: torch.Tensor, public: torch.Tensor, num_users: int) -> None:
        super().__init__()
        loadings = begin_loadings(features)
        width = loadings.shape[1]
        self.register_buffer("expected", public.clone())
        self.register_buffer("loadings", loadings)
        self.register_buffer("noise", torch.tensor(_NOISE))
        self.register_buffer("means", torch.zeros(num_users + 1, width))
        self.register_buffer("precisions", torch.eye(width).repeat(num_users + 1, 1, 1))

    def learn(self, model: RatingModel) -> None:
        """Take over a fitted model; strangers stay strangers."""
        self.expected.copy_(torch.as_tensor(model.expected))
        self.loadings.copy_(torch.as_tensor(model.loadings))
        self.noise.fill_(model.noise)
        self.means[:-1].copy_(torch.as_tensor(model.means))
        self.precisions[:-1].copy_(torch.as_tensor(model.precisions))

    def forward(
        self, user: torch.Tensor, items: torch.Tensor, ratings: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean, shape ``(B, d)``, and covariance, ``(B, d, d)``.

        Args:
            user: one-hot, all 0 for a stranger, shape ``(B, U)``.
            items, ratings, mask: the history, shape ``(B, L)``; ratings lie between -1 and 1.
        """
        stranger = len(self.means) - 1
        index = torch.where(user.amax(dim=1) > 0, user.argmax(dim=1), stranger)
        precision, past = self.precisions[index], self.loadings[items] * mask[:, :, None]
        surprise = (ratings - self.expected[items]) / self.noise * mask
        pull = torch.einsum("bij,bj->bi", precision, self.means[index]) + torch.einsum("bl,bld->bd", surprise, past)
        factor = torch.linalg.cholesky(precision + past.transpose(1, 2) @ past)
        covariance = torch.cholesky_inverse(factor)
        return torch.einsum("bij,bj->bi", covariance, pull), covariance


class PosteriorScores(nn.Module):
    """The upper confidence bound of each item: its expected rating and ``OPTIMISM`` standard deviations.

    Args:
        features, public: as of :class:`Posterior`.
        unit: score of one unit of a rating from -1 to 1.
        zero: score of the rating 0.
    """

    expected: torch.Tensor
    loadings: torch.Tensor

    def __init__(self, features: torch.Tensor, public: torch.Tensor, unit: float, zero: float) -> None:
        super().__init__()
        self._unit, self._zero = unit, zero
        self.register_buffer("expected", zero + unit * public)
        self.register_buffer("loadings", unit * _NOISE * begin_loadings(features))

    def learn(self, model: RatingModel) -> None:
        """Take over a fitted model."""
        self.expected.copy_(torch.as_tensor(self._zero + self._unit * model.expected))
        self.loadings.copy_(torch.as_tensor(self._unit * model.noise * model.loadings))

    def forward(self, mean: torch.Tensor, covariance: torch.Tensor, items: torch.Tensor | None) -> torch.Tensor:
        """Scores of all items, ``(B, N)``, or of ``items``, indices of shape ``(B, K)``."""
        if items is None:
            spread = ((self.loadings @ covariance) * self.loadings).sum(dim=2)
            return self.expected + mean @ self.loadings.T + OPTIMISM * spread.clamp(min=0.0).sqrt()
        loadings = functional.embedding(items, self.loadings)
        spread = ((loadings @ covariance) * loadings).sum(dim=2)
        expected = functional.embedding(items, self.expected[:, None])[:, :, 0]
        return expected + (loadings @ mean[:, :, None])[:, :, 0] + OPTIMISM * spread.clamp(min=0.0).sqrt()


def begin_loadings(features: torch.Tensor) -> torch.Tensor:
    """Loadings before anything is learned: an intercept and the features, each as uncertain as the next."""
    return torch.cat([torch.ones(len(features), 1), features], dim=1) * _DOUBT**0.5
