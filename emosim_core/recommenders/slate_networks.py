"""SlateActor: values of items, and how probable a click on each is, learned apart and weighed together."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from gymnasium import spaces
from torch import nn

from emosim_core.recommenders.networks import MASKED, Actor, Net, hidden_width

_LARGEST = 20.0
"""Log-odds of a click are cut off here, so that their exponential is a number."""


class Appraisal(NamedTuple):
    """What a :class:`SlateActor` makes of B users and N items, or K candidates.

    Attributes:
        values: what a click on each item is worth from then on, shape ``(B, N)``; MASKED where it may not be shown.
        nothing: what a slate without a click is worth, shape ``(B, 1)``.
        odds: log-odds of each item against no click, before its place counts, shape ``(B, N)``.
    """

    values: torch.Tensor
    nothing: torch.Tensor
    odds: torch.Tensor

    @property
    def scores(self) -> torch.Tensor:
        """exp(odds) * (value - value of nothing) of each item, MASKED where it may not be shown; shape ``(B, N)``."""
        return torch.where(self.values > MASKED / 2, self.odds.exp() * (self.values - self.nothing), MASKED)


class SlateActor(nn.Module):
    """Scores an item by the odds of a click times what is gained by it: the "top-K" optimiser of SlateQ.

    The choice model is a conditional logit (McFadden, 1974): item i at the place s of a slate A is clicked with
    probability v_i / (1 + sum_{j in A} v_j), v_i = exp(o_i + p_s), and nothing with the rest. The odds o come from a
    network of their own of the form of the values'; the parameters p take up what a place does (ours), so that an item
    is not held for wanted because it stood high.

    Ie et al. (2019, arXiv:1905.12767) take the items of the highest products of odds and value. An episode goes on
    after a slate without a click, which therefore has a value Q_0 too; that of a slate A is then
    Q_0 + sum_{i in A} v_i (Q_i - Q_0) / (1 + sum_{j in A} v_j), so the value of an item counts above Q_0 (ours). Else
    an item that everybody clicks would be shown for what comes after it, as it would without it.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.values = _actor(net)
        choice = replace(net, start=0.0 * net.start, gain=0.0)
        if net.options.kind == "bayes":  # what is wanted is not what is rated high
            choice = replace(choice, options=replace(net.options, kind="mlp"))
        self.choice = _actor(choice)
        self.nothing = nn.Linear(hidden_width(net.options), 1)
        nn.init.zeros_(self.nothing.weight)
        nn.init.zeros_(self.nothing.bias)
        self.places = nn.Parameter(torch.zeros(net.options.choice_places))

    def appraise(self, observation: dict[str, torch.Tensor]) -> Appraisal:
        seen = self.values.torso.forward_actor(self.values.extractor(observation))
        odds = self.choice(observation).clamp(-_LARGEST, _LARGEST)
        return Appraisal(self.values.head(seen), self.nothing(seen.hidden), odds)

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.appraise(observation).scores

    def weights(self) -> dict[str, torch.Tensor]:
        """All that :meth:`load_state_dict` needs; the two networks share nothing."""
        return {name: value.clone() for name, value in self.state_dict().items()}


def _actor(net: Net) -> Actor:
    return Actor(net.extractor(spaces.Dict(), net), net.torso(critic=False), net.head())
