"""PackedModel: stands for the language model of a run that travelled: its answers are cached, and it gives no other."""

from __future__ import annotations

from emosim_core.errors import LLMReplayError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.model.frozen import Frozen, option


class PackedOptions(Frozen):
    """What a run says of its language model."""

    identity: str = option(..., "Identity of the model, under which its answers are cached.", min_length=1)
    title: str = option("", "The model as it is shown.")
    kind: str = option("language model", "What answers, in words.")
    failures: dict[str, str] = option({}, "Why requests of the run have no answer, by their cache keys.")


class PackedModel(LLMBackend):
    """Names a model and never calls one: no address, no key and no code of the model are needed."""

    def __init__(self, options: PackedOptions) -> None:
        self.identity, self.title = options.identity, options.title
        self.kind = options.kind  # type: ignore[misc]
        self.failures = options.failures

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """No answer.

        Raises:
            LLMReplayError: always.
        """
        raise LLMReplayError(
            f"{self.identity!r} is the model of a pack: it has no answers but those in the pack, and is never called"
        )
