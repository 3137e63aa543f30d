"""A training: its files, the same again under the same seed, and going on after being stopped in any way."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emosim_core import RunError
from emosim_core.training.curves import read_progress
from emosim_core.training.trainer import checkpoints

ALGOS = ("a2c", "ppo", "dqn", "trpo", "maskable_ppo")

SHORT: dict[str, dict[str, Any]] = {
    "a2c": {},
    "ppo": {"algorithm": {"batch_size": 20}},
    "dqn": {"algorithm": {"learning_starts": 20, "batch_size": 16, "buffer_size": 2000}, "n_steps": 1},
    "trpo": {"algorithm": {"batch_size": 20}},
    "maskable_ppo": {"algorithm": {"batch_size": 20}},
}


def weights(path: Path, part: str = "model") -> dict[str, torch.Tensor]:
    return load_file(path / part / "weights.safetensors")


def curves(path: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "fps"} for line in read_progress(path)]


def rising(path: Path) -> list[int]:
    lines = read_progress(path)
    steps = [line["timesteps"] for line in lines]
    assert steps == sorted(set(steps))
    for key in ("episodes", "updates"):
        values = [line[key] for line in lines]
        assert values == sorted(values), key
    return steps


class Killed(Exception):
    """Stands for a power cut: nothing of the training runs after it."""


def stopped_at(training: Any, steps: int, how: type[BaseException]) -> None:
    """Let a training raise as soon as it has made so many steps."""
    step = training.env.step_wait

    def wait() -> Any:
        if training.env.steps >= steps:
            raise how
        return step()

    training.env.step_wait = wait
    with pytest.raises(how):
        training.train()


def test_it_leaves_its_files(train: Callable[..., Any], tmp_path: Path) -> None:
    seen: list[Any] = []
    training = train(checkpoint_every=100, eval_every=200, eval_episodes=8)
    summary = training.train(seen.append)
    path = tmp_path / "t"
    assert sorted(one.name for one in path.iterdir()) == [
        "best", "checkpoints", "evaluation_episodes.json", "manifest.json", "model", "progress.jsonl",
        "references.json", "summary.json",
    ]  # fmt: skip
    assert [one.name for one in checkpoints(path)] == ["000000000300", "000000000400"]
    assert len(list((path / "checkpoints").iterdir())) == 2
    for part in ("model", "best"):
        assert sorted(one.name for one in (path / part).iterdir()) == ["recommender.json", "weights.safetensors"]
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["config"]["algo"] == "a2c"
    assert manifest["config"]["seed"] == 3
    assert {"torch", "stable-baselines3", "sb3-contrib", "numpy"} <= set(manifest["versions"])
    assert json.loads((path / "summary.json").read_text()) == summary
    assert (summary["timesteps"], summary["episodes"], summary["updates"]) == (400, 80, 20)
    assert summary["end_reasons"] == {"max_steps": 80}
    assert summary["length"] == 5
    steps = rising(path)
    assert steps[-1] == 400
    assert [progress.timesteps for progress in seen] == steps
    lines = read_progress(path)
    assert [line["timesteps"] for line in lines if "evaluation" in line] == [200, 400]
    assert summary["evaluation"] == lines[-1]["evaluation"]
    assert {"policy_loss", "value_loss"} <= set(lines[-1]["losses"])
    payload = json.loads((path / "best" / "recommender.json").read_text())
    best = max((line for line in lines if "evaluation" in line), key=lambda line: line["evaluation"]["all"])
    assert payload["timesteps"] == best["timesteps"]


@pytest.mark.parametrize("algo", ALGOS)
def test_a_seed_decides_everything(train: Callable[..., Any], tmp_path: Path, algo: str) -> None:
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(out, algo=algo, seed=seed, timesteps=160, **SHORT[algo]).train()
    assert (tmp_path / "a/model/weights.safetensors").read_bytes() == (
        tmp_path / "b/model/weights.safetensors"
    ).read_bytes()
    assert curves(tmp_path / "a") == curves(tmp_path / "b")
    assert curves(tmp_path / "a") != curves(tmp_path / "c")


def test_looking_at_it_does_not_change_it(train: Callable[..., Any], tmp_path: Path) -> None:
    train("a").train()
    train("b", eval_every=40, eval_episodes=4).train()
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert a.keys() == b.keys() != set()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("algo", ALGOS)
def test_a_training_that_was_killed_ends_as_one_that_was_not(
    train: Callable[..., Any], tmp_path: Path, algo: str
) -> None:
    options = {"algo": algo, "checkpoint_every": 80, "eval_every": 100, "eval_episodes": 4, **SHORT[algo]}
    ended = [train("whole", **options).train()]
    stopped_at(train("cut", **options), 230, Killed)
    ended.append(train("cut", resume=True, **options).train())
    for part in ("model", "best"):
        for name in ("weights.safetensors", "recommender.json"):
            made, again = ((tmp_path / out / part / name).read_bytes() for out in ("whole", "cut"))
            assert made == again, (part, name)
    assert curves(tmp_path / "whole") == curves(tmp_path / "cut")
    clock = ("seconds", "steps_per_second")
    first, second = ({name: value for name, value in one.items() if name not in clock} for one in ended)
    assert first == second


@pytest.mark.parametrize("algo", ALGOS)
def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint(
    train: Callable[..., Any], tmp_path: Path, algo: str
) -> None:
    options = {"algo": algo, "checkpoint_every": 80, **SHORT[algo]}
    stopped_at(train(**options), 230, Killed)
    path = tmp_path / "t"
    last = checkpoints(path)[-1]
    assert last.name == "000000000160"
    counters = json.loads((last / "counters.json").read_text())
    assert counters["episodes"] == 32 == counters["end_reasons"]["max_steps"]
    before = [line for line in read_progress(path) if line["timesteps"] <= 160]
    again = train(resume=True, **options)
    assert again._begin() == 160
    state = torch.load(last / "state.pt", weights_only=True)
    for name, value in again.model.policy.state_dict().items():
        assert torch.equal(value, state["policy"][name]), name
    assert (again.model.num_timesteps, again.model._n_updates) == (160, counters["updates"])
    if algo == "dqn":
        assert again.model.replay_buffer.pos == 40
        with np.load(last / "replay.npz") as arrays:
            assert np.array_equal(again.model.replay_buffer.actions[:40], arrays["actions"])
            assert np.array_equal(
                again.model.replay_buffer.observations["consumed_items"][:40], arrays["observation.consumed_items"]
            )
            assert (again.model.replay_buffer.rewards[:40] > 0).all()
    again.job.release()
    (path / "checkpoints" / "000000000999").mkdir()  # a checkpoint that was being written
    (path / "checkpoints" / "000000000999" / "state.pt").write_bytes(b"half")
    (path / "checkpoints" / "mine").mkdir()
    summary = train(resume=True, **options).train()
    assert [one.name for one in sorted((path / "checkpoints").iterdir())] == [
        "000000000320", "000000000400", "mine",
    ]  # fmt: skip
    assert (summary["timesteps"], summary["episodes"], sum(summary["end_reasons"].values())) == (400, 80, 80)
    assert read_progress(path)[: len(before)] == before
    assert rising(path)[-1] == 400
    whole = train("whole", **options).train()
    assert summary["updates"] == whole["updates"]
    assert rising(path) == rising(tmp_path / "whole")
    rates = [
        torch.load(checkpoints(one)[-1] / "state.pt", weights_only=True)["policy.optimizer"]["param_groups"][0]["lr"]
        for one in (path, tmp_path / "whole")
    ]
    assert rates[0] == pytest.approx(rates[1])  # the rate falls over the whole training
    assert rates[0] < 0.5 * again.model.lr_schedule(1.0)


def test_ctrl_c_keeps_what_was_learned_and_counts_nothing_twice(train: Callable[..., Any], tmp_path: Path) -> None:
    stopped_at(train(num_envs=4, n_steps=7), 200, KeyboardInterrupt)
    last = checkpoints(tmp_path / "t")[-1]
    counters = json.loads((last / "counters.json").read_text())
    assert counters["timesteps"] == 196 == int(last.name)
    # 49 steps of each are nine episodes and some
    assert counters["episodes"] == 36 == counters["end_reasons"]["max_steps"]
    stopped_at(train(num_envs=4, n_steps=7, resume=True, timesteps=420), 44, KeyboardInterrupt)
    counters = json.loads((checkpoints(tmp_path / "t")[-1] / "counters.json").read_text())
    assert counters["timesteps"] == 196 + 28
    assert counters["episodes"] == 36 + 4
    summary = train(num_envs=4, n_steps=7, resume=True, timesteps=420).train()
    assert summary["timesteps"] == 420
    rising(tmp_path / "t")


def test_a_complete_training_goes_on_when_it_is_asked_for_more(train: Callable[..., Any], tmp_path: Path) -> None:
    first = train().train()
    more = train(resume=True, timesteps=600, eval_every=100, eval_episodes=4).train()
    assert (first["timesteps"], more["timesteps"], more["episodes"], more["updates"]) == (400, 600, 120, 30)
    assert more["seconds"] >= first["seconds"]
    rising(tmp_path / "t")
    assert json.loads((tmp_path / "t" / "manifest.json").read_text())["config"]["timesteps"] == 600
    assert json.loads((tmp_path / "t" / "model" / "recommender.json").read_text())["timesteps"] == 600


def test_killed_before_the_first_checkpoint_it_begins_anew(train: Callable[..., Any], tmp_path: Path) -> None:
    stopped_at(train(), 200, Killed)
    assert read_progress(tmp_path / "t")
    train(resume=True).train()
    train("whole").train()
    assert curves(tmp_path / "t") == curves(tmp_path / "whole")
    a, b = weights(tmp_path / "t"), weights(tmp_path / "whole")
    assert a.keys() == b.keys() != set()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "seed: 3 then, 4 now"),
        ({"algo": "ppo"}, 'algo: "a2c" then, "ppo" now'),
        ({"policy_net": "mlp"}, "policy_net"),
        ({"num_envs": 5}, "num_envs: 4 then, 5 now"),
        ({"max_steps": 6}, "max_steps: 5 then, 6 now"),
    ],
)
def test_another_training_is_not_resumed(
    train: Callable[..., Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    train(timesteps=40).train()
    before = (tmp_path / "t" / "manifest.json").read_bytes()
    with pytest.raises(RunError, match=f"cannot be resumed(.|\n)*{message}"):
        train(resume=True, timesteps=80, **changes).train()
    assert (tmp_path / "t" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("algo", ["a2c", "dqn"])
@pytest.mark.parametrize("damage", [b"", b"nonsense", b'{"timesteps": 3}', b"[]", None])
def test_a_damaged_checkpoint_is_one_clear_message_and_changes_nothing(
    train: Callable[..., Any], tmp_path: Path, algo: str, damage: bytes | None
) -> None:
    train(algo=algo, timesteps=80, **SHORT[algo]).train()
    folder = checkpoints(tmp_path / "t")[-1]
    names = [one.name for one in folder.iterdir()]
    assert sorted(names) == sorted(["counters.json", "state.pt", *(["replay.npz"] if algo == "dqn" else [])])
    manifest = (tmp_path / "t" / "manifest.json").read_bytes()
    for name in names:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2] if damage is None else damage)
        with pytest.raises(RunError, match=f"the checkpoint {folder} is damaged .*Remove that folder"):
            train(algo=algo, resume=True, timesteps=160, **SHORT[algo]).train()
        (folder / name).write_bytes(whole)
    assert (tmp_path / "t" / "manifest.json").read_bytes() == manifest


def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emosim_core.data import files

    training = train(checkpoint_every=100)
    whole, count = files.write_whole, [0]

    def full(path: Path, content: bytes) -> None:
        if path.name == "state.pt":
            count[0] += 1
            if count[0] >= 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("emosim_core.recommenders.weights.write_whole", full)
        with pytest.raises(RunError, match=f"No space left on device(.|\n)*emosim train --resume {tmp_path / 't'}"):
            training.train()
    assert count[0] >= 2
    assert [one.name for one in checkpoints(tmp_path / "t")] == ["000000000100"]
    assert not (tmp_path / "t" / "model").exists()
    assert not (tmp_path / "t" / "summary.json").exists()
    assert train(checkpoint_every=100, resume=True).train()["timesteps"] == 400
    rising(tmp_path / "t")


@pytest.mark.slow
def test_curves_reach_tensorboard(train: Callable[..., Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(track=("tensorboard",), eval_every=200, eval_episodes=4).train()
    events = EventAccumulator(str(tmp_path / "t" / "tensorboard"))
    events.Reload()
    lines = read_progress(tmp_path / "t")
    rewards = {event.step: event.value for event in events.Scalars("rollout/reward")}
    assert rewards == pytest.approx({line["timesteps"]: line["reward"] for line in lines if line["reward"] is not None})
    assert [event.step for event in events.Scalars("evaluation/all")] == [200, 400]
    assert "train/value_loss" in events.Tags()["scalars"]
