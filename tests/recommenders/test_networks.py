"""Networks: what they read, worked out by hand; who was never met, and what was consumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from emosim_core.model import Catalog, Item, RatingScale
from emosim_core.recommenders.networks import (
    MASKED,
    HistoryFeatures,
    ItemScores,
    Net,
    NetOptions,
    PosteriorFeatures,
    Seen,
    UserFeatures,
    item_features,
    public_ratings,
)
from emosim_core.recommenders.posterior import OPTIMISM, Posterior, PosteriorScores
from emosim_core.recommenders.rating_model import RatingModel

ITEMS, USERS = 4, 3

ALGOS = ("a2c", "ppo", "dqn", "trpo", "maskable_ppo")


def net(kind: str, **more: Any) -> Net:
    """Four items with two features, three users of whom the last was never met."""
    options = NetOptions(
        **{
            "kind": kind,
            "num_users": USERS,
            "items": ITEMS,
            "features": 2,
            "history_length": 2,
            "low": 1.0,
            "high": 5.0,
            "max_steps": 10,
            "embedding_dim": 6,
            "hidden": (5, 7),
            **more,
        }
    )
    features = np.array([[1, 0], [0, 2], [1, 1], [0, 0]], dtype=np.float32)
    public = np.array([0.5, 0.0, -0.5, 0.0], dtype=np.float32)
    start = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    return Net(options, features, public, start, 0.5, np.array([True, True, False]))


def extractor(made: Net) -> UserFeatures | HistoryFeatures | PosteriorFeatures:
    return made.extractor(spaces.Dict(), made).eval()


def user(*indices: int) -> dict[str, torch.Tensor]:
    consumed = torch.full((len(indices), 2), -1.0)
    consumed[0, 0] = 1
    return {"user": torch.nn.functional.one_hot(torch.tensor(indices), USERS).float(), "consumed_items": consumed}


def test_cf_has_an_embedding_of_each_user_and_a_bias_that_begins_at_nothing() -> None:
    extract = extractor(net("cf"))
    assert isinstance(extract, UserFeatures)
    assert extract.embedding.weight.shape == (6 + 1, USERS)
    seen = extract(user(1, 0))
    assert seen.hidden.shape == (2, 6 + 1)
    assert torch.equal(seen.hidden[0, :6], extract.embedding.weight[:6, 1])
    assert torch.equal(seen.hidden[:, 6], torch.zeros(2))
    assert torch.equal(seen.extra, torch.zeros(2, 1))
    assert seen.consumed.tolist() == [[1, -1], [-1, -1]]
    assert seen.candidates is None


@pytest.mark.parametrize("cold_start_user", [torch.zeros(USERS), torch.tensor([0.0, 0.0, 1.0])])
def test_who_was_never_met_is_the_mean_of_those_who_were(cold_start_user: torch.Tensor) -> None:
    extract = extractor(net("cf"))
    assert isinstance(extract, UserFeatures)
    with torch.no_grad():
        extract.embedding.weight[:, 2] = 99.0
    seen = extract({"user": cold_start_user[None], "consumed_items": torch.zeros(1, 0)})
    assert torch.allclose(seen.hidden[0], extract.embedding.weight[:, :2].mean(1))


def test_cf_has_no_hidden_layer_and_its_critic_reads_what_was_consumed() -> None:
    made = net("cf")
    torso, extract = made.torso(), extractor(made)
    assert len(torso.policy_net) == 0
    first, second = torso.value_net.first, torso.value_net.others[0]
    of_items = torso.value_net.consumed.weight
    assert (first.weight.shape, of_items.shape, second.weight.shape) == ((5, 7), (ITEMS + 1, 5), (7, 5))
    assert not of_items[ITEMS].any()
    one, other = user(0), user(0)
    other["consumed_items"][0, 1] = 3
    actor, critic = torso(extract(one))
    also, differs = torso(extract(other))
    assert torch.equal(actor.hidden, also.hidden)
    assert not torch.equal(critic, differs)
    assert torch.equal(critic, torso.forward_critic(extract(one)))
    with torch.no_grad():  # the same as a layer over the vector that marks them
        marked = torch.cat([extract(other).hidden, torch.tensor([[0.0, 1.0, 0.0, 1.0]])], dim=1)
        whole = torch.cat([first.weight, of_items[:ITEMS].T], dim=1)
        expected = torch.tanh(second(torch.tanh(marked @ whole.T + first.bias)))
    assert torch.allclose(differs, expected, atol=1e-6)


def test_the_score_of_an_item_is_the_formula() -> None:
    for kind in ("cf", "mlp"):
        made = net(kind)
        head = made.head()
        width, extra = head.query.in_features, 1 if kind == "cf" else 2
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.copy_(torch.randn(parameter.shape))
        seen = Seen(torch.randn(2, width), torch.randn(2, extra), torch.tensor([[2, -1], [-1, -1]]), None)
        scores = head(seen)
        candidates = torch.tensor([[3, -1 - 2, 0], [1, 2, 3]])
        some = head(seen._replace(candidates=candidates))
        for row in range(2):
            places = torch.where(candidates[row] < 0, -1 - candidates[row], candidates[row])
            assert torch.allclose(some[row], scores[row, places], atol=1e-5)
            h, extra_features = seen.hidden[row], seen.extra[row]
            query = head.query.weight @ h + head.query.bias
            common = head.common.weight[0] @ h + head.common.bias[0]
            query, common = (
                (query, common + extra_features[0]) if kind == "cf" else (query + head.gain * extra_features, common)
            )
            for item in range(ITEMS):
                expected = head.bias[item] + query @ torch.as_tensor(made.item_features[item]) + common
                if kind == "cf":
                    expected = expected + head.own.weight[item] @ h
                assert scores[row, item].item() == pytest.approx(
                    MASKED if (row, item) == (0, 2) else expected.item(), rel=1e-4, abs=1e-5
                )


def test_items_begin_at_the_start_of_the_net_and_taste_at_its_gain() -> None:
    for kind in ("cf", "mlp"):
        assert net(kind).head().bias.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    head = net("mlp").head()
    assert head.gain is not None
    assert head.gain.tolist() == [0.5, 0.5]
    assert head.own is None
    assert net("cf").head().gain is None


@pytest.mark.parametrize("latent", [(), ("traits",), ("mood",), ("traits", "mood")])
def test_compact_features_are_as_worked_out_by_hand(latent: tuple[str, ...]) -> None:
    extract = extractor(net("mlp", latent=latent))
    seen = extract(
        {
            "traits": torch.tensor([[1.0, 2.0, 3.0]]),
            "mood": torch.tensor([[-0.25, 0.75]]),
            "step": torch.tensor([[3.0]]),
            "history_items": torch.tensor([[2.0, 1.0]]),  # the last, and the one before
            "history_ratings": torch.tensor([[5.0, 2.0]]),
            "history_mask": torch.tensor([[1.0, 1.0]]),
            "consumed_items": torch.tensor([[1.0, 2.0, -1.0]]),
        }
    )
    # surprises: (5 - 3) / 2 + 0.5 = 1.5 of item 2, (2 - 3) / 2 - 0 = -0.5 of item 1; leniency 1 / (2 + 2) = 0.25
    # taste: the items have the features (1, 1) and (0, 2), so it solves [[2 + 1, 1], [1, 2 + 5]] x = (1.25, 1.25 - 1.5)
    hidden_state = {"traits": [-1, 0, 1], "mood": [-0.25, 0.75]}
    shown = [number for part in latent for number in hidden_state[part]]
    taste = [0.45, -0.1]
    assert seen.hidden[0].tolist() == pytest.approx([*shown, 0.3, 0.25, 1.5, 0.5, 1.5, *taste])
    assert seen.extra[0].tolist() == pytest.approx(taste)
    assert seen.consumed.tolist() == [[1, 2, -1]]


def test_what_a_history_holds_where_nothing_happened_means_nothing() -> None:
    extract = extractor(net("mlp"))
    empty = {
        "step": torch.zeros(1, 1), "consumed_items": torch.full((1, 2), -1.0),
        "history_items": torch.tensor([[3.0, 1.0]]), "history_ratings": torch.tensor([[5.0, 4.0]]),
        "history_mask": torch.zeros(1, 2),
    }  # fmt: skip
    assert extract(empty).hidden.tolist() == [[0.0] * (3 + 2 * 2)]


def model() -> RatingModel:
    """Of the four items and three users of :func:`net`; the users are known to 0.1 in every direction."""
    generator = np.random.default_rng(5)
    loadings, means = generator.normal(size=(ITEMS, 3)), generator.normal(size=(USERS, 3))
    expected = np.array([0.3, -0.1, 0.2, 0.0])
    return RatingModel(expected, loadings, 0.4, means, np.tile(np.eye(3) / 0.01, (USERS, 1, 1)))


def posterior(mean: np.ndarray, precision: np.ndarray, past: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance after ratings, from -1 to 1, of items of :func:`model`, one after another."""
    made, covariance = model(), np.linalg.inv(precision)
    for item, rating in past:
        z = made.loadings[item]
        gain = covariance @ z / (1.0 + z @ covariance @ z)
        mean = mean + gain * ((rating - made.expected[item]) / made.noise - z @ mean)
        covariance = covariance - np.outer(gain, z @ covariance)
    return mean, covariance


def test_bayes_scores_by_the_posterior_of_a_known_user_and_of_a_stranger() -> None:
    made, fitted = net("bayes"), model()
    extract, torso, head = extractor(made), made.torso(critic=False), made.head()
    for part in (*extract.modules(), *head.modules()):
        if isinstance(part, Posterior | PosteriorScores):
            part.learn(fitted)
    torch.nn.init.zeros_(head.common.weight)
    seen = {
        "user": torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        "step": torch.tensor([[2.0], [2.0], [0.0]]),
        "history_items": torch.tensor([[2.0, 1.0], [2.0, 1.0], [3.0, 3.0]]),
        "history_ratings": torch.tensor([[5.0, 2.0], [5.0, 2.0], [1.0, 1.0]]),
        "history_mask": torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]),
        "consumed_items": torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, -1.0]]),
    }
    past = [(1, -0.5), (2, 1.0)]
    beginnings = [(fitted.means[1], fitted.precisions[1], past), (np.zeros(3), np.eye(3), past)]
    beginnings.append((np.zeros(3), np.eye(3), []))
    scores = head(torso.forward_actor(extract(seen)))
    candidates = torch.tensor([[3, 0], [0, -1 - 2], [1, 2]])
    some = head(torso.forward_actor(extract({**seen, "candidates": candidates})))
    for row, beginning in enumerate(beginnings):
        mean, covariance = posterior(*beginning)
        spread = np.sqrt((fitted.loadings @ covariance * fitted.loadings).sum(axis=1))
        bound = fitted.expected + fitted.noise * (fitted.loadings @ mean + OPTIMISM * spread)
        share = (3.0 + 2.0 * bound) / 5.0  # of the top of the scale
        consumed = [item for item, _ in beginning[2]]
        share[consumed] = MASKED
        assert scores[row].tolist() == pytest.approx(share.tolist(), rel=1e-4)
        wanted = [MASKED if item < 0 else share[item] for item in candidates[row].tolist()]
        assert some[row].tolist() == pytest.approx(wanted, rel=1e-4)


def test_what_bayes_learns_of_items_counts_little_beside_what_it_begins_with() -> None:
    head = net("bayes").head()
    assert isinstance(head, ItemScores)
    width = head.query.in_features
    seen = Seen(
        torch.ones(1, width),
        torch.cat([torch.zeros(1, 3), torch.eye(3).reshape(1, 9)], 1),
        -torch.ones(1, 1).long(),
        None,
    )
    begun = head(seen).detach()
    with torch.no_grad():
        head.bias += torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert (head(seen) - begun)[0].tolist() == pytest.approx([0.005, 0.0, 0.0, 0.0], abs=1e-6)


def test_features_of_items_are_the_same_size_for_every_number_of_categories() -> None:
    scale = RatingScale(low=1, high=5)
    items = [
        Item(id=f"i{i}", title="t", categories=names, public_rating=rating, public_count=count)
        for i, (names, rating, count) in enumerate(
            [(("a",), 1.0, 0), (("a", "b", "c", "d"), 3.0, 10), (("b",), 5.0, 100)]
        )
    ]
    catalog = Catalog(items, scale, np.eye(3, dtype=np.float32), "made up")
    features = item_features(catalog)
    width = len(catalog.category_names)
    assert features.shape == (3, width + 2)
    assert (features[:, :width] ** 2).sum(1) == pytest.approx([4, 4, 4])
    assert features[:, width:].mean(0) == pytest.approx([0, 0], abs=1e-6)
    assert features[:, width:].std(0) == pytest.approx([1, 1])
    assert features[:, width] == pytest.approx(public_ratings(catalog))
    same = [item.model_copy(update={"public_rating": 3.0, "public_count": 7}) for item in items]
    assert item_features(Catalog(same, scale, np.eye(3, dtype=np.float32), "m"))[:, width:].tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("algo", ALGOS)
def test_users_who_were_not_met_are_not_learned_about(train: Callable[..., Any], algo: str) -> None:
    training = train(algo=algo, user_split="train", test_fraction=0.25, **quick(algo))
    extractors = [one for one in training.model.policy.modules() if isinstance(one, UserFeatures)]
    before = [one.embedding.weight.detach().clone() for one in extractors]
    training.train()
    met = np.isin(np.arange(8), training.world.user_indices)
    assert met.sum() == 6
    assert extractors[0].met.numpy().astype(bool).tolist() == met.tolist()
    for one, old in zip(extractors, before, strict=True):
        moved = (one.embedding.weight.detach() - old).abs().amax(0).numpy()
        assert moved[~met].max() < 1e-4  # a residue of TRPO and of averaging weights, far below what is learned
    assert (extractors[0].embedding.weight.detach() - before[0]).abs().amax(0).numpy()[met].min() > 1e-3


def test_a_critic_is_no_part_of_what_is_kept_of_an_actor(train: Callable[..., Any]) -> None:
    for number, kind in enumerate(("cf", "mlp", "bayes")):
        policy = train(f"t{number}", policy_net=kind).model.policy
        weights = policy.actor().weights()
        assert not [name for name in weights if "value_net" in name]
        assert {name for name in policy.actor().state_dict() if "value_net" not in name} == set(weights)


def quick(algo: str) -> dict[str, Any]:
    """Options with which an algorithm updates within 400 steps."""
    return {
        "dqn": {"algorithm": {"learning_starts": 40, "batch_size": 16}, "n_steps": 1},
        "ppo": {"algorithm": {"batch_size": 20}},
        "trpo": {"algorithm": {"batch_size": 20}},
        "maskable_ppo": {"algorithm": {"batch_size": 20}},
    }.get(algo, {})
