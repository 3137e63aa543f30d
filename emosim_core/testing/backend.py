"""LLMBackendConformance: holds a language-model backend to its contract."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from unittest import SkipTest
from unittest.mock import patch

from emosim_core.errors import LLMAuthenticationError, LLMError
from emosim_core.hooks.names import nearest
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.testing.conformance import ComponentConformance, no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.network import block_network

_KEY = "sk-conformance-0123456789abcdef"


class LLMBackendConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`.

    The backend is called: point it at a server of the test or at a small model.

    Attributes:
        key_variable: environment variable in which the backend looks for its key; empty if it needs none. The
            checks that ask put a made-up key there.
        calls_allowed: whether the backend may be called; where not, every test that calls it is skipped.
    """

    kind = "llm_backend"
    interface = LLMBackend
    key_variable: ClassVar[str] = ""
    calls_allowed: ClassVar[bool] = True

    def test_it_is_made_and_lists_its_models_without_a_key(self) -> None:
        with self._key(None), _offline(), no_error("backend-made", self.subject):
            backend = self.make()
            models = list(backend.models())
        made = type(backend)
        written = any(getattr(made, form, None) is not getattr(LLMBackend, form) for form in ("answer", "answer_batch"))
        close = nearest("answer", (name for name in dir(made) if not hasattr(LLMBackend, name)))
        instead = f", but {', '.join(close)}" if close else ""
        hold("backend-made", written, f"{made.__name__} implements neither answer nor answer_batch{instead}.")
        hold("backend-made", all(isinstance(name, str) and name for name in models), f"the models {models}.")

    def test_its_identity_says_what_answers(self) -> None:
        with self._key(_KEY):
            one, other = self.make(), self.make()
            identity = getattr(one, "identity", None)
            hold("backend-identity", isinstance(identity, str) and bool(identity), f"identity = {identity!r}.")
            hold("backend-identity", identity == other.identity, "two of the same have different identities.")
            shown = f"{identity} {one!r} {one} {getattr(one, '__dict__', '')}"
            hold("backend-key", _KEY not in shown, "the key stands in it or in an attribute.")

    def test_it_answers_each_request_in_order(self) -> None:
        with self._key(_KEY):
            requests = [_question(f"Say the number {i}.") for i in range(5)]
            together = self._ask(requests)
            for request, answer in list(zip(requests, together, strict=True))[:3]:
                (alone,) = self._ask([request])
                hold("backend-order", alone.text == answer.text, f"{answer.text!r}, and {alone.text!r} when alone.")

    def test_its_usage_is_not_negative(self) -> None:
        with self._key(_KEY):
            (answer,) = self._ask([_question("Say hello.")])
            usage = answer.usage
            counts = (usage.prompt, usage.cached, usage.completion, usage.reasoning)
            hold("backend-answers", all(isinstance(n, int) and n >= 0 for n in counts), f"{usage}.")
            hold("backend-answers", isinstance(answer.text, str), f"the text {answer.text!r}.")

    def test_it_can_be_called_again_after_it_was_closed(self) -> None:
        self._skip_without_calls()
        with self._key(_KEY):
            backend: LLMBackend = self.make()
            for _ in range(2):
                with no_error("backend-again", self.subject):
                    (answer,) = backend.answer_batch([_question("Say hello.")])
                    asyncio.run(backend.close())
                hold("backend-again", isinstance(answer, ChatAnswer), f"{answer!r}.")

    def test_probabilities_are_of_the_choices(self) -> None:
        self._skip_without_calls()
        with self._key(_KEY):
            choices = ("1", "2", "3")
            request = ChatRequest((Message("user", "How good is it, 1 to 3?"),), max_tokens=8, choices=choices)
            with no_error("backend-choices", self.subject):
                (answer,) = self.make().answer_batch([request])
            if isinstance(answer, LLMError):
                raise SkipTest(f"it did not answer a request with choices: {answer}")
            shares = answer.probabilities
            if not shares:
                raise SkipTest("it tells no probabilities")
            hold("backend-choices", set(shares) <= set(choices), f"{shares}.")
            hold("backend-choices", abs(sum(shares.values()) - 1) < 1e-6, f"{shares}.")

    def test_without_its_key_it_says_where_the_key_is_looked_for(self) -> None:
        if not self.key_variable:
            raise SkipTest("it needs no key")
        self._skip_without_calls()
        with self._key(None), no_error("backend-key", self.subject):
            (answer,) = self.make().answer_batch([_question("Say hello.")])
        hold("backend-key", isinstance(answer, LLMAuthenticationError), f"{answer!r}.")
        hold("backend-key", self.key_variable in str(answer), f"the message {str(answer)!r}.")

    def _skip_without_calls(self) -> None:
        if not self.calls_allowed:
            raise SkipTest("it is not called here; subclass LLMBackendConformance in a test")

    def _ask(self, requests: list[ChatRequest]) -> list[ChatAnswer]:
        self._skip_without_calls()
        with no_error("backend-errors", self.subject):
            answers = self.make().answer_batch(requests)
        hold("backend-order", len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests.")
        chat_answers: list[ChatAnswer] = []
        for answer in answers:
            rule = "backend-errors" if answer is None else "backend-answers"
            hold(rule, isinstance(answer, ChatAnswer | LLMError), f"an answer of the type {type(answer).__name__}.")
            hold("backend-key", _KEY not in repr(answer) + str(answer), "the key stands in an answer or error.")
            hold("backend-answers", isinstance(answer, ChatAnswer), f"{type(answer).__name__}: {answer}.")
            chat_answers.append(answer)
        return chat_answers

    @contextmanager
    def _key(self, value: str | None) -> Iterator[None]:
        """Puts a key where the backend looks for it, or takes it away."""
        if not self.key_variable:
            yield
            return
        with patch.dict(os.environ):
            os.environ.pop(self.key_variable, None)
            os.environ.update({} if value is None else {self.key_variable: value})
            yield


@contextmanager
def _offline() -> Iterator[None]:
    """Refuses every connection, that to this machine too."""
    unblock = block_network(local=False)
    try:
        yield
    finally:
        unblock()


def _question(text: str) -> ChatRequest:
    return ChatRequest((Message("system", "Answer briefly."), Message("user", text)), max_tokens=16)
