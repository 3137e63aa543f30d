"""Questions: each prompt of a run and the raw answer to it, found by simulating the run again from cached answers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from emosim_core.components.base import RatingRequest
from emosim_core.errors import ConfigurationError, LLMError, LLMReplayError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field, over
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy, Reply
from emosim_core.llm.rater import Asks, ModelRater
from emosim_core.runs.records import INTERACTIONS, MANIFEST, run_manifest
from emosim_core.runs.runner import Run
from emosim_core.runs.summary import Episode
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.simulation.config import RunConfig, read_config
from emosim_core.simulation.engine import Step

Exchanges = dict[tuple[int, int, int], list[dict[str, Any]]]
"""By episode, step and place in the slate: what was asked and answered, the first try first."""


def questions(
    directory: Path,
    registry: Registry | None = None,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> Exchanges:
    """Find the prompts of a language model in a run, and what it answered, to the letter.

    A run keeps ratings and reasons; the answers themselves are in the cache, with their prompts. So the run is
    simulated again, with cached answers alone: nothing is asked and nothing in the directory changes. Each step must
    equal the one on record.

    Arguments are as of :func:`~emosim_core.reports.run_report.report_of_run`.

    Raises:
        ConfigurationError: no language model was called in this run.
        LLMReplayError: an answer is not cached any more.
        TrustError: the directory names what its user must give again.
        EmoSimError: what the run was made with is not there any more.
        RunError: the directory holds no run, or simulating it again gives another one.
    """
    manifest = run_manifest(directory)
    if by_field(RunConfig, manifest["config"]).get("llm_model") is None:
        raise ConfigurationError(f"--prompts: no language model was called in {directory}, so there are no prompts")
    registry = registry or Registry()
    again = again or CommandHint(typed("report", directory, "--prompts"), {})
    values = over(RunConfig, given or {}, manifest["config"])
    values = confirmed(directory, values, given or {}, manifest["config"], (RunConfig,), registry, again)
    values = over(RunConfig, {"replay": True}, values)
    config: RunConfig = read_config(RunConfig, values, str(directory / MANIFEST))
    with tempfile.TemporaryDirectory() as folder:
        replayed = _Again(config, Path(folder) / "run", registry=registry)
        missing: LLMReplayError | None = None
        try:
            replayed.run()
        except LLMReplayError as error:  # of no matter if the run on record ends before this question
            missing = error
        made = Path(folder) / "run" / INTERACTIONS
        made.parent.mkdir(exist_ok=True)
        if not _same(made, directory / INTERACTIONS):
            raise LLMReplayError(f"The prompts of {directory} cannot be found: {missing}") from missing
    return replayed.found


def _same(made: Path, existing: Path) -> bool:
    """Whether the run that was made again comes as far as the run on record, which must be its beginning.

    Raises:
        RunError: a step is another one.
    """
    made.touch()  # a run that has not taken a step leaves no file
    try:
        with made.open("rb") as new, existing.open("rb") as old:
            for number, line in enumerate(old, start=1):
                if not line.endswith(b"\n"):
                    return True
                again = new.readline()
                if not again:
                    return False
                if again != line:
                    raise RunError(
                        f"{existing}, line {number}: simulating the run again gives another step, so its prompts "
                        "cannot be found; the file was changed, or the run depends on what its manifest does not hold"
                    )
    except OSError as error:
        raise RunError(f"{error.filename} cannot be read: {error.strerror}") from error
    return True


class _Again(Run):
    """A run that notes what its rater asks, and tells no observer."""

    def __init__(self, config: RunConfig, directory: Path, registry: Registry | None = None) -> None:
        super().__init__(config, directory, registry=registry)
        rater = self.world.rater
        if not isinstance(rater, ModelRater):
            raise ConfigurationError("--prompts: the rater of this run calls a language model in a way of its own")
        self.found: Exchanges = {}
        self._notes = _Notes(rater.prompt_strategy)
        rater.prompt_strategy = self._notes
        rater.gateway = cast(Asks, _NotedGateway(rater.gateway, self._notes))

    def _notify(self, hook: str, **what: Any) -> None:
        pass

    def _note(self, stored: Mapping[str, Any] | None) -> None:
        pass

    def _step_all(self) -> list[Episode]:
        self._notes.clear()
        return super()._step_all()

    def _records(self, step: Step) -> list[dict[str, Any]]:
        records = super()._records(step)
        for answered, record in zip(step.answered.tolist(), records, strict=True):
            for place in range(len(record["recommended"])) if answered >= 0 else ():
                exchange = self._notes.of(answered, place)
                if exchange:
                    self.found[record["episode"], record["step"], place] = exchange
        return records


class _Notes(PromptStrategy):
    """Stands between a rater and its prompter, and notes which question is about whom, and the answers."""

    def __init__(self, prompt_strategy: PromptStrategy) -> None:
        self._prompt_strategy = prompt_strategy
        self._places: dict[int, list[tuple[int, int]]] = {}
        self._requests: list[ChatRequest] = []
        self._exchanges: dict[tuple[int, int], list[dict[str, Any]]] = {}

    def clear(self) -> None:
        """Forget the step before."""
        self._places, self._requests, self._exchanges = {}, [], {}

    def of(self, row: int, place: int) -> list[dict[str, Any]]:
        """What was asked and answered about one place of the slate in this step."""
        return self._exchanges.get((row, place), [])

    def ask(self, request: RatingRequest, row: int, place: int) -> ChatRequest:
        return self._note(self._prompt_strategy.ask(request, row, place), [(row, place)])

    def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
        return self._note(self._prompt_strategy.ask_again(request, answer, problem), self._places.get(id(request), []))

    def read(self, answer: ChatAnswer) -> Reply:
        return self._prompt_strategy.read(answer)

    def _note(self, request: ChatRequest, places: list[tuple[int, int]]) -> ChatRequest:
        self._requests.append(request)  # so that no other question gets its id
        known = self._places.setdefault(id(request), [])
        known.extend(place for place in places if place not in known)
        return request

    def answered(self, request: ChatRequest, answer: ChatAnswer | LLMError) -> None:
        """Note the answer to a question."""
        text = f"{type(answer).__name__}: {answer}" if isinstance(answer, LLMError) else answer.text
        exchange = {"question": [[one.role, one.content] for one in request.messages], "answer": text}
        for place in self._places.get(id(request), []):
            self._exchanges.setdefault(place, []).append(exchange)


class _NotedGateway:
    """A gateway that has its answers noted."""

    def __init__(self, gateway: Asks, notes: _Notes) -> None:
        self._gateway, self._notes = gateway, notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        noted = list(requests)
        answers = self._gateway.ask(noted)
        for request, answer in zip(noted, answers, strict=True):
            self._notes.answered(request, answer)
        return answers
