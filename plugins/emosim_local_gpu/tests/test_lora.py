"""A model is tuned on examples by peft, and the folder that is written answers through the backend ``local``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from emosim_local_gpu.backend import LocalBackend
from emosim_local_gpu.lora import Tuning, main, tune
from emosim_local_gpu.options import LocalOptions

from emosim_core import DataError
from emosim_core.llm import ChatAnswer, ChatRequest

pytest.importorskip("peft")

FILMS = [("a good film", "9"), ("a slow film", "1"), ("a loud film", "5")]


def examples(path: Path, question: Callable[..., ChatRequest]) -> Path:
    lines = []
    for text, answer in FILMS:
        messages = [{"role": one.role, "content": one.content} for one in question(f"Rate {text}.").messages]
        lines.append(json.dumps({"messages": messages, "answer": answer}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.slow
def test_a_tuned_model_gives_the_answers_that_it_was_shown(
    models: Callable[[str], Path],
    question: Callable[..., ChatRequest],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = examples(tmp_path / "examples.jsonl", question)
    steps = ("--steps", "60", "--batch-size", "3", "--learning-rate", "0.02", "--device", "cpu")
    command = ["--model", str(models("merged")), "--examples", str(file), *steps, "--out", str(tmp_path / "tuned")]
    assert main(command) == 0
    assert "loss" in capsys.readouterr().out
    about = json.loads((tmp_path / "tuned" / "training.json").read_text())
    assert len(about["losses"]) == 60
    assert about["losses"][-1] < 0.2 * about["losses"][0]
    backend = LocalBackend(LocalOptions(model=str(tmp_path / "tuned"), device="cpu"))
    labels = tuple(map(str, range(10)))
    answers = backend.answer_batch([question(f"Rate {text}.", choices=labels) for text, _ in FILMS])
    assert all(isinstance(one, ChatAnswer) for one in answers)
    assert [one.text for one in answers if isinstance(one, ChatAnswer)] == [answer for _, answer in FILMS]
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "has no example"), ('{"answer": "7"}\n', "is no example"), ("7\n", "is no example")],
)
def test_a_file_without_examples_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "examples.jsonl").write_text(content)
    with pytest.raises(DataError, match=message):
        tune(Tuning("no-model"), tmp_path / "examples.jsonl", tmp_path / "tuned")
