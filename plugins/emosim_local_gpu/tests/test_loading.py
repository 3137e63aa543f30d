"""Loading: one clear error for each thing that can be wrong, and an identity that tells models apart."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emosim_local_gpu import memory, source
from emosim_local_gpu.backend import LocalBackend
from emosim_local_gpu.options import LocalOptions
from pydantic import ValidationError

from emosim_core import ConfigurationError, MissingDependencyError
from emosim_core.llm import ChatRequest, LLMRequestError

Make = Callable[..., LocalBackend]
Question = Callable[..., ChatRequest]


def error_of(local: LocalBackend, question: Question) -> str:
    answers = local.answer_batch([question("Rate it."), question("Why?")])
    for answer in answers:
        assert isinstance(answer, LLMRequestError), answer
    assert "Traceback" not in str(answers[0])
    return str(answers[0])


@pytest.fixture
def copied(models: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(models("merged"), tmp_path / "copy"))


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there_is_named(name: str, backend: Make, question: Question) -> None:
    message = error_of(backend(model=name), question)
    assert "does not exist" in message
    assert "nowhere" in message


def test_a_folder_without_a_model_is_told_from_one_with_a_model(
    tmp_path: Path, backend: Make, question: Question
) -> None:
    assert "no config.json and no .gguf file" in error_of(backend(model=str(tmp_path)), question)
    file = tmp_path / "model.bin"
    file.write_bytes(b"")
    assert "not a folder" in error_of(backend(model=str(file)), question)


@pytest.mark.parametrize("more", [{}, {"local_files_only": True}])
def test_a_name_that_cannot_be_reached_says_where_it_was_looked_for(
    more: dict[str, Any], tmp_path: Path, backend: Make, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    message = error_of(backend(model="emosim-test/no-such-model", **more), question)
    assert str(tmp_path / "hub") in message
    assert "emosim-test/no-such-model" in message
    assert ("local_files_only" in message) == bool(more)


def test_damaged_files_are_one_clear_error(copied: Path, backend: Make, question: Question) -> None:
    (copied / "model.safetensors").write_bytes(b"not weights")
    assert "cannot be loaded" in error_of(backend(model=str(copied)), question)
    (copied / "config.json").write_text('{"model_type": "from-the-future"}')
    assert "from-the-future" in error_of(backend(model=str(copied)), question)


def test_a_model_with_code_of_its_own_needs_leave(copied: Path, backend: Make, question: Question) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "code.py").write_text("raise SystemExit('the code ran')")
    assert "trust_remote_code=true" in error_of(backend(model=str(copied)), question)


def test_a_model_that_is_too_big_says_what_it_needs_and_what_there_is(
    backend: Make, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 30_000)
    message = error_of(backend("merged"), question)
    assert "needs 0.1 MiB" in message
    assert "cpu has 0.0 MiB free" in message
    assert "quantization=4bit" in message


def test_a_model_that_fills_the_memory_while_it_is_loaded_says_so(
    backend: Make, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def full(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", full)
    message = error_of(backend("merged"), question)
    assert "does not fit into memory" in message
    assert "0.1 MiB" in message


def test_after_an_error_the_model_is_looked_for_again(
    models: Callable[[str], Path], tmp_path: Path, backend: Make, question: Question
) -> None:
    local = backend(model=str(tmp_path / "later"))
    assert "does not exist" in error_of(local, question)
    shutil.copytree(models("merged"), tmp_path / "later")
    (answer,) = local.answer_batch([question("Rate it.", choices=("1", "2"))])
    assert not isinstance(answer, LLMRequestError)


@pytest.mark.parametrize(
    ("options", "package", "extra"),
    [
        ({"quantization": "4bit"}, "bitsandbytes", "bitsandbytes"),
        ({"quantization": "8bit"}, "bitsandbytes", "bitsandbytes"),
        ({"device_map": "auto", "device": "auto"}, "accelerate", "accelerate"),
        ({"gguf_file": "model.gguf"}, "gguf", "gguf"),
        ({"gguf_file": "model.gguf"}, "accelerate", "gguf"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_command(
    options: dict[str, Any], package: str, extra: str, backend: Make, question: Question, without: Callable[[str], None]
) -> None:
    without(package)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*pip install 'emosim-local-gpu\[{extra}\]'"):
        backend("merged", **options).answer_batch([question("Rate it.")])


def test_files_that_are_quantised_need_their_package(
    copied: Path, backend: Make, question: Question, without: Callable[[str], None]
) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (copied / "config.json").write_text(json.dumps(config))
    without("gptqmodel")
    with pytest.raises(MissingDependencyError, match=r"gptqmodel.*pip install 'emosim-local-gpu\[gptq\]'"):
        backend(model=str(copied)).answer_batch([question("Rate it.")])


def test_a_package_that_transformers_misses_is_named_with_its_command(
    backend: Make, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def missing(*_: Any, **__: Any) -> Any:
        raise ImportError("Loading an AWQ model needs autoawq (`pip install autoawq`)")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", missing)
    with pytest.raises(MissingDependencyError, match=r"'autoawq'. Install it with: pip install autoawq$"):
        backend("merged").answer_batch([question("Rate it.")])


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Hides a package."""
    find_spec = importlib.util.find_spec

    def hide(package: str) -> None:
        pretend = {"bitsandbytes", "accelerate", "gguf", "optimum", "gptqmodel"} - {package}
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *rest: None if name == package else object() if name in pretend else find_spec(name, *rest),
        )

    return hide


def test_options_that_contradict_each_other_are_refused(
    backend: Make, question: Question, copied: Path, without: Callable[[str], None]
) -> None:
    without("nothing")
    with pytest.raises(ConfigurationError, match="leave out device='cpu'"):
        backend("merged", device_map="auto").answer_batch([question("Why?")])
    config = json.loads((copied / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="quantised already"):
        backend(model=str(copied), quantization="8bit").answer_batch([question("Why?")])


def test_a_device_that_is_not_there_is_a_clear_error(backend: Make, question: Question) -> None:
    with pytest.raises(ConfigurationError, match="'cuda:99'"):
        backend("merged", device="cuda:99").answer_batch([question("Why?")])


@pytest.mark.parametrize("wrong", [{}, {"model": ""}, {"model": "m", "device": "gpu"}, {"model": "m", "batch": 3}])
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LocalOptions(**wrong)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_numbers_are_of_the_type_that_was_asked_for(dtype: str, backend: Make, question: Question) -> None:
    import torch

    local = backend("merged", dtype=dtype)
    (answer,) = local.answer_batch([question("Rate it.", choices=("1", "2", "10"))])
    assert not isinstance(answer, LLMRequestError)
    loaded = local._load()
    assert loaded.engine.model.dtype == getattr(torch, dtype)
    assert loaded.engine.branches
    assert f"dtype={dtype}" in local.identity


def test_loading_is_announced_with_its_size(
    backend: Make, question: Question, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, "emosim_local_gpu"):
        backend("merged").answer_batch([question("Rate it.", choices=("1", "2"))])
    messages = [record.message for record in caplog.records]
    assert messages[0].startswith("loading ")
    assert "of weights, float32" in messages[1]
    assert capfd.readouterr() == ("", "")


# ----------------------------------------------------------------------------------------------- identity


def test_other_files_at_the_same_place_are_another_identity(copied: Path, backend: Make) -> None:
    def identity() -> str:
        return backend(model=str(copied)).identity

    first = identity()
    assert identity() == first
    assert first.startswith(f"local {copied.name} ")
    weights = copied / "model.safetensors"
    known = weights.stat()
    os.utime(weights, ns=(known.st_atime_ns, known.st_mtime_ns + 10**9))
    second = identity()
    (copied / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    third = identity()
    (copied / "README.md").write_text("nothing that changes an answer")
    assert len({first, second, third}) == 3
    assert identity() == third


@pytest.mark.parametrize(
    "options",
    [{"dtype": "bfloat16"}, {"thinking": True}, {"quantization": "4bit"}, {"top": 3}, {"max_new_tokens": 7}],
)
def test_options_that_may_change_an_answer_are_in_the_identity(options: dict[str, Any], backend: Make) -> None:
    assert backend("merged", **options).identity != backend("merged").identity


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"prefix_sharing": False}, {"local_files_only": True}])
def test_options_that_change_no_answer_are_not_in_the_identity(options: dict[str, Any], backend: Make) -> None:
    assert backend("merged", **options).identity == backend("merged").identity


def test_where_a_model_lies_is_in_the_former_identity_alone(copied: Path, backend: Make) -> None:
    local = backend(model=str(copied))
    assert local.identity.startswith(f"local {copied.name} ")
    assert local.former_identities == (local.identity.replace(copied.name, str(copied.resolve()), 1),)
    assert backend(model="org/tiny").former_identities == ()


def test_an_identity_needs_no_model(backend: Make) -> None:
    assert backend(model="/nowhere/at/all").identity == "local all missing dtype=auto"


def test_a_model_of_the_hub_is_known_by_its_commit(
    tmp_path: Path, models: Callable[[str], Path], backend: Make, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert backend(model="org/tiny").identity == "local org/tiny main dtype=auto"
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = tmp_path / "models--org--tiny"
    shutil.copytree(models("merged"), folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    local = backend(model="org/tiny")
    assert local.identity == f"local org/tiny {commit} dtype=auto"
    assert backend(model="org/tiny", revision=commit).identity == local.identity
    assert list(local.models()) == [*source.packaged_models(), "org/tiny"]
    assert source.downloaded("org/tiny", "other") is None


def test_nothing_is_known_of_the_price(backend: Make) -> None:
    assert backend("merged").price() is None
