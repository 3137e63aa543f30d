"""LocalBackend: answers requests with a model in this process, in batches."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from emosim_core.llm import ChatAnswer, ChatRequest, LLMBackend, LLMError, LLMRefusedError, LLMRequestError, Usage
from emosim_local_gpu import memory, source
from emosim_local_gpu.engine import Prefix
from emosim_local_gpu.json_writer import JsonWriter, UnknownSchemaError
from emosim_local_gpu.labels import LabelTree
from emosim_local_gpu.loading import Loaded, load
from emosim_local_gpu.options import LocalOptions
from emosim_local_gpu.scoring import score
from emosim_local_gpu.writing import Sampler, TextWriter, write

_LOG = logging.getLogger(__name__)


@dataclass
class _Job:
    """A request in a batch."""

    place: int
    request: ChatRequest
    tokens: list[int]


_Work = Callable[[list[_Job], Prefix], list[ChatAnswer]]


class LocalBackend(LLMBackend):
    """A model of transformers in this process; it is loaded at the first request.

    A request with ``choices`` is scored instead of generated; see :class:`~emosim_local_gpu.labels.LabelTree`. Its
    answer is the likeliest choice, the first of equals, whatever the temperature, with the probabilities of all, from
    which the rater may sample. The answer to a request with a ``schema`` follows it; any other answer is free text. The
    random draws of a request depend on its seed, its sample number and its messages, not on other requests.
    """

    batched = True

    def __init__(self, options: LocalOptions) -> None:
        self.options = options
        self._size: dict[bool, int] = {}
        self._reported: set[str] = set()
        self._begin_unloaded()

    def _begin_unloaded(self) -> None:
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._trees: dict[tuple[str, tuple[str, ...]], LabelTree] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The state without the model; a copy loads it at its first request."""
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_loaded", "_trees")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_unloaded()

    @cached_property
    def identity(self) -> str:  # type: ignore[override]
        """Name, fingerprint of the files or commit, and every option that may change an answer."""
        return self._identity(whole=False)

    @property
    def former_identities(self) -> Sequence[str]:  # type: ignore[override]
        """The identity with the path of the folder, under which earlier versions cached answers."""
        return tuple({self._identity(whole=True)} - {self.identity})

    def _identity(self, whole: bool) -> str:
        options = self.options
        named = source.identity(options.model, options.revision, options.gguf_file, whole)
        parts = ["local", named, f"dtype={options.dtype}"]
        for name in ("quantization", "max_new_tokens", "thinking", "top"):
            if (value := getattr(options, name)) != LocalOptions.model_fields[name].default:
                parts.append(f"{name}={value}")
        return " ".join(parts)

    def models(self) -> Sequence[str]:
        """Models in installed packages, and those of the Hub that are downloaded."""
        return [*source.packaged_models(), *source.downloaded_models()]

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer to one request, computed in a thread; an LLMError where the request failed."""
        (answer,) = await asyncio.to_thread(self.answer_batch, [request])
        if isinstance(answer, LLMError):
            raise answer
        return answer

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers in the order of the requests; in the place of a failed one, its error.

        Raises:
            MissingDependencyError: the model needs a package that is not installed.
            ConfigurationError: the options contradict each other.
        """
        with self._lock:
            answers: list[ChatAnswer | LLMError | None] = [None] * len(requests)
            if not requests:
                return []
            try:
                loaded = self._load()
            except LLMError as error:
                return [error] * len(requests)
            groups: dict[tuple[str, tuple[str, ...]], list[_Job]] = {}
            for place, request in enumerate(requests):
                try:
                    job = self._job(loaded, place, request)
                except LLMError as error:
                    answers[place] = error
                else:
                    groups.setdefault((request.opening, request.choices), []).append(job)
            for jobs in groups.values():
                for job, answer in self._group(loaded, jobs):
                    answers[job.place] = answer
            return [answer for answer in answers if answer is not None]

    # ------------------------------------------------------------------------------------------ inside

    def _load(self) -> Loaded:
        self._loaded = self._loaded or load(self.options)
        return self._loaded

    def _job(self, loaded: Loaded, place: int, request: ChatRequest) -> _Job:
        choices, longest_answer = request.choices, 1
        free = not choices and request.schema is None
        tokens = loaded.format.prompt(request, thinking=free and self.options.thinking)
        if choices:
            tree = self._tree(loaded, request)
            tokens = [*tokens, *tree.lead]
            longest_answer = max(tree.lengths) - len(tree.lead)
        if loaded.longest is not None and len(tokens) + longest_answer > loaded.longest:
            raise LLMRefusedError(
                f"the request has {len(tokens):,} tokens; {self.options.model} takes {loaded.longest:,} for prompt "
                "and answer: show less of the history or of the descriptions, or use a model with a longer context"
            )
        return _Job(place, request, tokens)

    def _tree(self, loaded: Loaded, request: ChatRequest) -> LabelTree:
        """The choices of a request as a tree; the tokens of its opening, with which all begin, are its lead."""
        opening, choices = key = request.opening, request.choices
        if key not in self._trees:
            self._trees[key] = LabelTree([loaded.format.label(f"{opening}{one}") for one in choices], choices)
        return self._trees[key]

    def _group(self, loaded: Loaded, jobs: list[_Job]) -> list[tuple[_Job, ChatAnswer | LLMError]]:
        """Answer requests with the same choices and opening, in batches that fit into memory."""
        scored = bool(jobs[0].request.choices)

        def work(batch: list[_Job], prefix: Prefix) -> list[ChatAnswer]:
            return self._choose(loaded, batch, prefix) if scored else self._write(loaded, batch, prefix)

        jobs = sorted(jobs, key=lambda job: len(job.tokens))
        prefix = self._prefix(loaded, jobs)
        done: list[tuple[_Job, ChatAnswer | LLMError]] = []
        while len(done) < len(jobs):
            size = min(self._size.get(scored, self.options.batch_size), len(jobs) - len(done))
            batch = jobs[len(done) : len(done) + size]
            answers = self._try(work, batch, prefix)
            if answers is None:  # the batch does not fit into memory
                loaded.free()
                if size > 1:
                    self._size[scored] = size // 2
                    _LOG.warning("memory is short: %d requests at once instead of %d", size // 2, size)
                    continue
                if prefix.tokens:
                    prefix = Prefix()
                    continue
                answers = [self._too_big(loaded, batch[0])]
            done += zip(batch, answers, strict=True)
            prefix = replace(prefix, computed=0)  # for the next batch
        return done

    def _prefix(self, loaded: Loaded, jobs: list[_Job]) -> Prefix:
        try:
            return loaded.engine.prefix([job.tokens for job in jobs])
        except Exception as error:
            if not memory.is_shortage(error):
                raise
        loaded.free()
        return Prefix()

    def _try(self, work: _Work, jobs: list[_Job], prefix: Prefix) -> list[ChatAnswer | LLMError] | None:
        """The answers; None if memory ran out. All tensors are released when this returns."""
        try:
            return list(work(jobs, prefix))
        except LLMError as error:
            return [error] * len(jobs)
        except Exception as error:
            if memory.is_shortage(error):
                return None
            raise

    def _too_big(self, loaded: Loaded, job: _Job) -> LLMRequestError:
        device = loaded.engine.device
        error = LLMRequestError(
            f"one request of {len(job.tokens):,} tokens does not fit into memory: {device} has "
            f"{memory.in_words(memory.available(device))} free beside the {memory.in_words(loaded.needs)} of the "
            "model's weights. Show less of the history, or use a smaller model, dtype=bfloat16, quantization=4bit or "
            "device_map=auto."
        )
        error.doubtful = True  # a shorter request may fit
        return error

    def _choose(self, loaded: Loaded, jobs: list[_Job], prefix: Prefix) -> list[ChatAnswer]:
        choices, tree = jobs[0].request.choices, self._tree(loaded, jobs[0].request)
        rows = score(loaded.engine, [job.tokens for job in jobs], prefix, tree, loaded.ends)
        answers = []
        for i, (job, shares) in enumerate(zip(jobs, rows, strict=True)):
            likeliest = sorted(range(len(choices)), key=lambda place: -shares[place])
            best, shown = likeliest[0], sorted(likeliest[: self.options.top])
            total = 1.0 if len(shown) == len(choices) else sum(shares[place] for place in shown)
            probabilities = {choices[place]: shares[place] / total for place in shown}
            written = tree.lengths[best] - (len(tree.lead) if job.request.opening else 0)
            usage = Usage(len(job.tokens), _cached(prefix, i), written)
            answers.append(
                ChatAnswer(choices[best], model=self.options.model, usage=usage, probabilities=probabilities)
            )
        return answers

    def _write(self, loaded: Loaded, jobs: list[_Job], prefix: Prefix) -> list[ChatAnswer]:
        writers = [self._writer(loaded, job) for job in jobs]
        write(loaded.engine, [job.tokens for job in jobs], prefix, writers)
        answers = []
        for i, (job, writer) in enumerate(zip(jobs, writers, strict=True)):
            thoughts, text = writer.parts
            usage = Usage(len(job.tokens), _cached(prefix, i), writer.written, writer.thought)
            answers.append(
                ChatAnswer(text, reasoning=thoughts, model=self.options.model, usage=usage, finished=not writer.cut_off)
            )
        return answers

    def _writer(self, loaded: Loaded, job: _Job) -> JsonWriter | TextWriter:
        """What writes the answer; a schema that cannot be enforced is reported once, and its answer written freely."""
        request, sampler = job.request, Sampler.of(job.request)
        room = sys.maxsize if loaded.longest is None else loaded.longest - len(job.tokens)
        most = min(self.options.max_new_tokens, room)
        if request.schema is not None:
            try:
                return JsonWriter(loaded.schemas, request.schema, sampler, min(request.max_tokens, most), room)
            except UnknownSchemaError as error:
                if str(error) not in self._reported:
                    self._reported.add(str(error))
                    _LOG.warning("the schema of answers is not enforced: %s", error)
        thinks = loaded.format.opened(job.tokens)
        return TextWriter(loaded.format.tokenizer, loaded.ends, sampler, request.max_tokens, most, thinks)


def _cached(prefix: Prefix, place: int) -> int:
    """Tokens of a prompt that were not computed for it; the shared ones count for the first request of a batch."""
    return len(prefix.tokens) - (prefix.computed if place == 0 else 0)
