"""A trained recommender outside of its training: the same actions, its files, and what it says about mistakes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emosim_core import ConfigurationError, RunError
from emosim_core.components.base import RecommendationRequest
from emosim_core.recommenders.recommender import DESCRIPTION, WEIGHTS, Recommender, load_recommender
from emosim_core.recommenders.trained import Trained, TrainedOptions

ALGOS = ("a2c", "ppo", "dqn", "trpo", "maskable_ppo")

SHORT: dict[str, dict[str, Any]] = {
    "a2c": {},
    "ppo": {"algorithm": {"batch_size": 20}},
    "dqn": {"algorithm": {"learning_starts": 20, "batch_size": 16}, "n_steps": 1},
    "trpo": {"algorithm": {"batch_size": 20}},
    "maskable_ppo": {"algorithm": {"batch_size": 20}},
}


def episode(training: Any, steps: int = 4) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """What the whole environment shows and what the model in training recommends there, the best each time."""
    env, model = training.env, training.model
    env.seed(77)
    seen, recorded = env.reset(), []
    for _ in range(steps):
        masks = {"action_masks": env.action_masks()} if training.config.algo == "maskable_ppo" else {}
        actions, _ = model.predict(seen, deterministic=True, **masks)
        recorded.append((env.env.engine.observe(), actions))
        seen = env.step(actions)[0]
    return recorded


@pytest.mark.parametrize("net", ["cf", "mlp", "bayes"])
@pytest.mark.parametrize("algo", ALGOS)
def test_it_recommends_what_the_model_in_training_recommends(
    train: Callable[..., Any], tmp_path: Path, algo: str, net: str
) -> None:
    training = train(algo=algo, policy_net=net, timesteps=80, max_steps=8, **SHORT[algo])
    training.train()
    loaded = load_recommender(tmp_path / "t")
    assert (loaded.options.kind, loaded.metadata["algo"]) == (net, algo)
    for seen, actions in episode(training):
        scores = loaded.scores(seen)
        assert scores.dtype == np.float32
        assert (seen["consumed"] > 0).any() or not seen["step"].any()
        assert (scores[seen["consumed"] > 0] == np.float32(-1e8)).all()
        assert scores.argmax(axis=1).tolist() == actions.tolist()


@pytest.fixture
def trained(train: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Trains for a moment; the directory."""

    def make(**options: Any) -> Path:
        train(**{"timesteps": 40, **options}).train()
        return tmp_path / "t"

    return make


def test_a_fresh_process_answers_alike_and_loads_no_simulation(trained: Callable[..., Path], emosim: Any) -> None:
    path = trained(policy_net="mlp", observation="full")
    history = [("i3", 9.0), ("i1", None), ("i5", 2.0)]
    here = [(one.item, one.score) for one in load_recommender(path).recommend(history, 8, traits=(1, 3, 2))]
    code = """
    import json, sys
    from emosim_core.recommenders.recommender import load_recommender
    items = load_recommender(sys.argv[1]).recommend([("i3", 9.0), ("i1", None), ("i5", 2.0)], 8, traits=(1, 3, 2))
    heavy = ("pandas", "matplotlib", "emosim_stones", "emosim_core.hooks")
    loaded = [name for name in sys.modules if name.startswith("emosim_core.simulation") or name in heavy]
    print(json.dumps([[(one.item, one.score) for one in items], loaded]))
    """
    fresh, loaded = json.loads(emosim.python(code, str(path)))
    assert [item for item, _ in fresh] == [item for item, _ in here]
    assert [score for _, score in fresh] == pytest.approx([score for _, score in here], abs=1e-5)
    assert loaded == []


def test_what_is_left_is_recommended_best_first(trained: Callable[..., Path]) -> None:
    loaded = load_recommender(trained())
    best = loaded.recommend([], 3, user="u2")
    everything = loaded.recommend([], 100, user="u2")
    assert best == everything[:3]
    assert {one.item for one in everything} == {f"i{i}" for i in range(8)}
    scores = [one.score for one in everything]
    assert scores == sorted(scores, reverse=True)
    assert best[0].title == f"Stone {best[0].item[1:]}"
    remaining = loaded.recommend([("i0", None), ("i3", 7.0), ("i0", 8.0)], 100, user="u2")
    assert [one.item for one in remaining] == [one.item for one in everything if one.item not in ("i0", "i3")]
    assert loaded.recommend([(f"i{i}", None) for i in range(8)], 4) == []


def test_a_history_without_ratings_tells_nothing_of_taste(trained: Callable[..., Path]) -> None:
    loaded = load_recommender(trained(policy_net="mlp", history_length=2))
    seen: list[dict[str, Any]] = []
    ask = loaded.scores
    loaded.scores = lambda observation: (seen.append(dict(observation)), ask(observation))[1]  # type: ignore[assignment, func-returns-value]
    loaded.recommend([("i1", None), ("i2", None)], 2)
    assert seen[-1]["history_mask"].tolist() == [[0, 0]]
    loaded.recommend([("i1", 3.0), ("i2", 4.0), ("i3", None), ("i4", 5.0)], 2)
    assert seen[-1]["history_mask"].tolist() == [[1, 1]]
    assert seen[-1]["history_items"].tolist() == [[4, 2]]  # the last first
    assert seen[-1]["history_ratings"].tolist() == [[5, 4]]
    assert seen[-1]["step"].tolist() == [[4]]
    assert seen[-1]["consumed_items"].tolist() == [[1, 2, 3, 4]]
    assert seen[-1]["user"].tolist() == [-1]


def test_a_cold_start_user_of_cf_is_the_mean_of_those_who_were_met(trained: Callable[..., Path]) -> None:
    loaded = load_recommender(trained(user_split="train", test_fraction=0.25))
    actor = loaded._actor
    met = actor.extractor.met.bool()
    assert met.sum() == 6
    mean = actor.extractor.embedding.weight[:, met].mean(1)
    seen = loaded.scores({"user": np.array([-1]), "consumed_items": np.zeros((1, 0), dtype=np.int64)})
    h, bias = mean[:-1], mean[-1]
    head = actor.head
    expected = head.bias + head.own(h) + (head.item_features @ head.query(h)) + head.common(h) + bias
    assert seen[0] == pytest.approx(expected.numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"history": [("i9", 3.0)]}, "knows no item 'i9'"),
        ({"history": [("i1", 11.0)]}, "the rating 11.0 of 'i1' lies off the scale 1 to 10"),
        ({"history": [("i1", float("nan"))]}, "lies off the scale"),
        ({"history": [], "user": "nobody"}, "nobody with the id 'nobody'"),
        ({"history": [], "traits": [1, 2]}, "three levels from 1 to 3"),
        ({"history": [], "traits": [1, 2, 4]}, "three levels from 1 to 3"),
        ({"history": [], "traits": [1, 2, 3]}, "does not read traits; one that does .* --observation full"),
        ({"history": [], "mood": (0.1, 0.2)}, "does not read mood"),
        ({"history": [], "k": 0}, "k must be at least 1"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_words(
    trained: Callable[..., Path], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_recommender(trained()).recommend(**arguments)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(self.path),))


def test_weights_with_code_in_them_are_refused_and_do_not_run(trained: Callable[..., Path], tmp_path: Path) -> None:
    path, mark = trained(), tmp_path / "ran"
    torch.save({"head.own.bias": Evil(str(mark))}, path / "model" / WEIGHTS)
    with pytest.raises(RunError, match="is damaged"):
        load_recommender(path)
    (path / "model" / WEIGHTS).write_bytes(pickle.dumps(Evil(str(mark)), protocol=2))
    with pytest.raises(RunError, match="is damaged"):
        load_recommender(path)
    assert not mark.exists()


def described(path: Path, **changes: Any) -> None:
    file = path / "model" / DESCRIPTION
    description = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in description.items() if value is not None}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "model" / DESCRIPTION).write_text("{"), "is not JSON"),
        (lambda path: (path / "model" / DESCRIPTION).write_text("[]"), "it holds no JSON object"),
        (lambda path: described(path, format=1), "format 1; this one reads 4"),
        (lambda path: described(path, net=None), "net: Field required"),
        (lambda path: described(path, items=[]), "it names 0 items and 8 users"),
        (lambda path: described(path, items=["i1"] * 8), r"items\.0: Input should be a valid dictionary"),
        (lambda path: described(path, users="u1"), "users: Input should be a valid list"),
        (lambda path: described(path, net={"items": 8, "num_users": 8}), r"net\.kind: Field required"),
        (lambda path: (path / "model" / WEIGHTS).unlink(), "has no weights"),
        (lambda path: (path / "model" / WEIGHTS).write_bytes(b""), "is damaged"),
        (lambda path: (path / "model" / WEIGHTS).write_bytes(b"nonsense"), "is damaged"),
        (
            lambda path: (path / "model" / WEIGHTS).write_bytes((path / "model" / WEIGHTS).read_bytes()[:900]),
            "is damaged",
        ),
        (lambda path: save_file({}, path / "model" / WEIGHTS), "does not belong to recommender.json"),
    ],
)
def test_damaged_files_are_one_clear_message(
    trained: Callable[..., Path], damage: Callable[[Path], Any], message: str
) -> None:
    path = trained()
    assert isinstance(load_recommender(path / "model"), Recommender)
    damage(path)
    with pytest.raises(RunError, match=message):
        load_recommender(path)


def test_a_training_that_did_not_end_has_no_recommender_yet(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'emosim train' makes one"):
        load_recommender(tmp_path)
    manifest = {"format": 2, "config": {"algo": "a2c", "plugin": "movies"}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigurationError, match=f"finish it with: emosim train --resume {tmp_path}"):
        load_recommender(tmp_path)


def test_too_short_a_history_is_refused(trained: Callable[..., Path]) -> None:
    policy = Trained(TrainedOptions(path=str(trained(policy_net="mlp", history_length=4))))
    seen = {"history_items": np.zeros((1, 3), dtype=np.int64)}
    with pytest.raises(
        ConfigurationError, match=r"to see 4 interactions; observations here show 3\. .*history_length=4"
    ):
        policy.recommend_batch(RecommendationRequest(rows=np.array([0]), observations=seen), None)  # type: ignore[arg-type]


def test_as_a_policy_it_recommends_the_best_and_refuses_what_it_was_not_trained_on(
    trained: Callable[..., Path], quick: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trained(policy_net="mlp", history_length=4)
    widths: set[tuple[int, ...]] = set()
    ask = Recommender.scores

    def scores(self: Recommender, seen: Any) -> Any:
        widths.add(tuple(seen[key].shape[1] for key in ("history_items", "history_ratings", "history_mask")))
        return ask(self, seen)

    monkeypatch.setattr(Recommender, "scores", scores)
    options = [
        "run",
        "--plugin",
        "stones",
        "--rater",
        "colour",
        "--embeddings",
        "lexical",
        "--reward-shaping",
        "identity",
    ]
    options += ["--policy", f"trained:{path}", "--episodes", "3"]
    assert quick(*options, "--out", "r", "--json").json["end_reasons"] == {"out_of_items": 3}
    lines = [json.loads(line) for line in (tmp_path / "r" / "interactions.jsonl").read_text().splitlines()]
    first = [line["recommended"][0]["item"] for line in lines if line["step"] == 1]
    assert set(first) == {load_recommender(path).recommend([], 1)[0].item}
    for length in (2, 20):  # what a configuration shows others does not change what it was trained to see
        (tmp_path / "c.toml").write_text(f"history_length = {length}\n")
        quick(*options, "--config", "c.toml", "--out", f"r{length}", "--quiet")
        same = (tmp_path / f"r{length}" / "interactions.jsonl").read_bytes()
        assert same == (tmp_path / "r" / "interactions.jsonl").read_bytes()
    assert widths == {(4, 4, 4)}
    other = ["run", "--plugin", "movies", "--policy", f"trained:{path}", "--episodes", "1"]
    assert "was trained on 8 items of 'stones', which are not the" in quick(*other, "--quiet", status=2).err
