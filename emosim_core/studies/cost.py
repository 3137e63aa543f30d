"""Cost: what the calls of a language model take, estimated before and counted after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from emosim_core.components.mixture import Mixture
from emosim_core.llm.backend import Price
from emosim_core.llm.chat import ChatRequest, Usage
from emosim_core.llm.rater import ModelRater
from emosim_core.simulation.assembly import World
from emosim_core.studies.study import Trials
from emosim_core.studies.trials import trial_request, world_of

CHARACTERS_PER_TOKEN = 4
"""What a token of English text takes on average; models differ."""

_SAMPLE = 40
"""Requests that are written out to learn how long they are."""

_TOKENS_OF_A_CHOICE = 4
"""Most tokens of an answer that is one of a few short texts, the end included."""


@dataclass(frozen=True)
class Estimate:
    """What requests to a model will take: tokens of the prompts and, at most, of the answers, guessed from characters.

    The price is None where it is not known; with ``replay`` only cached answers are used, and a model may be ``own``,
    in this process, so that nothing is paid.
    """

    model: str
    requests: int
    prompt: int
    completion: int
    price: Price | None
    replay: bool = False
    own: bool = False

    @property
    def free(self) -> bool:
        """Whether nothing is paid for sure."""
        return self.replay or self.own or self.cost == 0

    @property
    def cost(self) -> float | None:
        """The most that it will cost, at the price of tokens that no service has cached; None where not known."""
        return None if self.price is None else self.price.cost(Usage(prompt=self.prompt, completion=self.completion))


def by_model(estimates: Iterable[Estimate]) -> list[Estimate]:
    """What the requests to each model will take together."""
    total: dict[str, Estimate] = {}
    for one in estimates:
        before = total.get(one.model)
        counts = ("requests", "prompt", "completion") if before else ()
        total[one.model] = replace(one, **{name: getattr(one, name) + getattr(before, name) for name in counts})
    return list(total.values())


def estimate(world: World, trials: Trials) -> Estimate | None:
    """What putting trials to the world's language model will take; None where its rater calls none.

    A sample of the requests is written out. Cached answers cost nothing, and are not looked for.
    """
    rater = world.rater
    if isinstance(rater, Mixture):
        return _of_mixture(world, rater, trials)
    if not isinstance(rater, ModelRater):
        return None
    from emosim_core.llm.gateway.gateway import Gateway

    count = len(trials.trials)
    places = np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(int)).tolist()
    request = trial_request(world_of(trials.users, world), [trials.trials[place] for place in places])
    requests = [rater.prompt_strategy.ask(request, row, 0) for row in range(len(places))]
    gateway = rater.gateway if isinstance(rater.gateway, Gateway) else None
    price = None if gateway is None else gateway.backend.price()
    replay = gateway is not None and gateway.options.replay
    own = gateway is not None and gateway.backend.batched and not gateway.backend.deferred
    prompt, completion = (sum(map(measure, requests)) / len(requests) for measure in (request_tokens, _answer))
    return Estimate(world.model, count, round(prompt * count), round(completion * count), price, replay, own)


def _of_mixture(world: World, rater: Mixture, trials: Trials) -> Estimate | None:
    """What the users take whom the language model of a mixture answers for."""
    names = [name for name, one in rater.raters.items() if one.uses_llm]
    if not names:
        return None
    mine = rater.of_users(trials.users) == rater.names.index(names[0])
    some = [trial for trial in trials.trials if mine[trial.user]]
    alone = replace(world, rater=rater.raters[names[0]])
    if some:
        return estimate(alone, replace(trials, trials=some))
    estimated = estimate(alone, trials)
    return None if estimated is None else replace(estimated, requests=0, prompt=0, completion=0)


def request_tokens(request: ChatRequest) -> int:
    """Tokens of a request, guessed from its characters."""
    return -(-sum(len(message.content) for message in request.messages) // CHARACTERS_PER_TOKEN)


def _answer(request: ChatRequest) -> int:
    return min(request.max_tokens, _TOKENS_OF_A_CHOICE) if request.choices else request.max_tokens
