"""A model as the rater keeps to the contract of raters, and one that activity sways is found out."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from emosim_core.llm import ChatAnswer, ChatRequest, LLMError, Message
from emosim_core.llm.prompts.shot_strategy import ShotOptions, ShotPromptStrategy
from emosim_core.llm.rater import ModelRater, ModelRaterOptions
from emosim_core.model.user import TRAITS
from emosim_core.plugins import Example, Item, Rater, RatingRequest, User, Words
from emosim_core.testing import RaterConformance, ScriptedBackend, SmallWorld, run_suite

WORDS = Words(traits={trait: (f"has little {trait}", f"has some {trait}", f"has much {trait}") for trait in TRAITS})


class Direct:
    """Asks a backend without keeping anything."""

    def __init__(self, backend: ScriptedBackend) -> None:
        self.backend = backend

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        return self.backend.answer_batch(list(requests))

    def charge(self, cost: float) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def usage(self) -> Any:
        return self

    @property
    def calls(self) -> int:
        return len(self.backend.requests)


def by_the_item(asked: ChatRequest) -> str:
    """A choice that follows from the item that is asked about, whoever is asked."""
    item = re.findall(r"<item>.*?</item>", asked.messages[-1].content, re.DOTALL)[-1]
    return asked.choices[zlib.crc32(item.encode()) % len(asked.choices)]


def swayed_by_activity(asked: ChatRequest) -> str:
    """The best rating by who has much activity, the worst by all others."""
    return asked.choices[-1 if "has much activity" in asked.messages[-1].content else 0]


class ShowsActivity(ShotPromptStrategy):
    """Shows the trait that makes no rating, which the core's own prompts leave out."""

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        asked = super().ask(request, row, place)
        level = request.population.users[int(request.users[row])].activity
        text = f"Someone who {WORDS.traits['activity'][level - 1]}.\n{asked.messages[-1].content}"
        return replace(asked, messages=(*asked.messages[:-1], Message("user", text)))


class ModelRaterConformance(RaterConformance):
    """A model rater on the scale of the world that it is prepared for."""

    script: Callable[[ChatRequest], str] = staticmethod(by_the_item)
    strategy: type[ShotPromptStrategy] = ShotPromptStrategy

    def made(self, world: SmallWorld) -> Rater:
        examples = (Example(User(id="e", name="Ann"), Item(id="e", title="A kite"), world.scale.high, "It flies."),)
        prompt_strategy = self.strategy(ShotOptions(shots=1, system="our", style="rating"))
        rater = ModelRater(prompt_strategy, Direct(ScriptedBackend(self.script)), ModelRaterOptions())
        rater.prepare(replace(world.setting(), words=WORDS, examples=examples))
        return rater

    def make(self) -> Rater:
        return self.made(next(iter(self.worlds())))

    def test_it_can_be_prepared_for_other_items_and_users(self) -> None:
        """Left out: its worked examples belong to one world."""


class TestModelRater(ModelRaterConformance):
    pass


def test_a_model_that_activity_sways_is_found_out() -> None:
    broken = [
        {
            outcome.error.rule
            for outcome in run_suite(ModelRaterConformance, script=staticmethod(swayed_by_activity), strategy=strategy)
            if outcome.error is not None
        }
        for strategy in (ShowsActivity, ShotPromptStrategy)
    ]
    assert broken == [{"rater-activity"}, set()]
