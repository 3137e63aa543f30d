"""Experiments: what arms are, what their users and trainings can show, guards, segments, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.evaluations import SMALL, config_of, trained
from hypothesis import given
from hypothesis import strategies as st

from emosim_core import ConfigurationError, EmoSimError, RunError
from emosim_core.evaluation.evaluate import base, evaluate
from emosim_core.evaluation.experiment import (
    Experiment,
    arm_samples,
    spread,
)
from emosim_core.evaluation.metrics import METRICS, Sample, metric_named
from emosim_core.evaluation.plan import arm_value, notes_on, own_values, read_guard, recommenders_of
from emosim_core.evaluation.results import compute_results
from emosim_core.evaluation.verdict import evaluation_verdict, written_difference
from emosim_core.plugins import Registry
from emosim_core.stats import percentiles, smallest_difference, users_of_a_test

ARMS: dict[str, Any] = {
    **{name: value for name, value in SMALL.items() if name != "policies"},
    "arms": {"control": "popular", "new": "random", "other": {"name": "epsilon_greedy", "epsilon": 0.3}},
    "guards": ["mean_rating=20", "share_liked=0.0001", "episode_length"],
    "user_dataset": "sampled:n=60",
    "episodes": 20,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An experiment of three arms with both user splits."""
    out = tmp_path_factory.mktemp("made") / "e"
    return out, evaluate(ARMS, out)


# ------------------------------------------------------------------------------------------- what is measured


def test_differences_are_those_of_arms_from_the_control_and_the_same_as_of_policies(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, results = made
    policies = ["popular", "random", {"name": "epsilon_greedy", "epsilon": 0.3}]
    plain = {name: value for name, value in ARMS.items() if name not in ("arms", "guards")}
    without = evaluate({**plain, "policies": policies}, tmp_path / "e")
    assert "experiment" not in without
    assert not {"arms", "control", "metric", "effect", "guards"} & without["config"].keys()
    for split, measured in results["user_splits"].items():
        own = {"control": "popular", "new": "random", "other": "epsilon_greedy:epsilon=0.3"}
        there = without["user_splits"][split]
        for arm, policy in own.items():
            found = {**measured["recommenders"][arm], "run": ""}
            assert found == {**there["recommenders"][policy], "run": ""}
        above = measured["differences"]["control"]
        assert above["reference"] == "control"
        wanted = {own[arm]: one for arm, one in above["recommenders"].items()}
        first = there["differences"]["first"]["recommenders"]
        assert wanted == {name: one for name, one in first.items() if name != "oracle"}
        assert measured["regret"]["recommenders"].keys() == own.keys()
        assert "oracle" not in measured["experiment"]["arms"]


def test_the_smallest_difference_and_the_users_of_a_live_test_are_those_of_the_users_means(
    made: tuple[Path, dict[str, Any]],
) -> None:
    """Of reward per episode, where each user has one episode: sample variances, and scipy's power."""
    stats = pytest.importorskip("scipy.stats")
    out, results = made
    rewards: dict[str, dict[str, float]] = {}
    for arm in ("control", "new"):
        rewards[arm] = {}
        for line in (out / "runs" / "train" / arm / "interactions.jsonl").read_text().splitlines():
            step = json.loads(line)
            rewards[arm][step["user"]] = rewards[arm].get(step["user"], 0.0) + step["reward"]
    users = sorted(rewards["control"])
    assert len(users) == results["user_splits"]["train"]["episodes"] == 20
    control, new = (np.array([rewards[arm][user] for user in users]) for arm in ("control", "new"))
    measured = results["user_splits"]["train"]["experiment"]["arms"]["new"]
    beyond = measured["smallest_difference"]["mean_reward"] / ((new - control).std(ddof=1) / 20**0.5)
    assert stats.nct.sf(stats.t.ppf(0.975, 19), 19, beyond) == pytest.approx(0.8, abs=0.01)
    test = measured["live_test"]
    assert test["difference"] == pytest.approx((new - control).mean(), abs=1e-4)
    each, variances = test["users"] / 2, control.var(ddof=1) + new.var(ddof=1)
    power = stats.nct.sf(
        stats.t.ppf(0.975, 2 * each - 2), 2 * each - 2, abs(test["difference"]) / (variances / each) ** 0.5
    )
    assert power == pytest.approx(0.8, abs=0.02)
    assert test["at_least"] <= test["users"]


def test_a_live_test_of_a_given_effect_needs_as_many_users_whatever_was_measured(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, _ = made
    shutil.copytree(out, tmp_path / "e")
    changed = {**ARMS, "effect": 5.0, "control": "new", "metric": "mean_rating", "guards": []}
    again = evaluate(changed, tmp_path / "e", resume=True)
    one, other = (place / "runs" / "test" / "new" / "interactions.jsonl" for place in (out, tmp_path / "e"))
    assert one.read_bytes() == other.read_bytes()
    assert again["experiment"]["control"] == "new"
    measured = again["user_splits"]["test"]["experiment"]["arms"]
    assert list(measured) == ["control", "other"]
    test = measured["control"]["live_test"]
    assert (test["difference"], test["at_least"], test["at_most"]) == (5.0, None, None)
    small = evaluate({**changed, "effect": 0.5}, tmp_path / "e", resume=True)
    more = small["user_splits"]["test"]["experiment"]["arms"]["control"]["live_test"]["users"]
    assert more > 20 * test["users"]


def test_a_guard_holds_where_the_interval_leaves_out_that_the_arm_is_worse_by_the_margin(
    made: tuple[Path, dict[str, Any]],
) -> None:
    _, results = made
    for measured in results["user_splits"].values():
        for arm, one in measured["experiment"]["arms"].items():
            above = measured["differences"]["control"]["recommenders"][arm]["metrics"]
            assert [guard["metric"] for guard in one["guards"]] == ["mean_rating", "share_liked", "episode_length"]
            for guard in one["guards"]:
                difference, margin = guard["difference"], guard["margin"]
                assert difference == above[guard["metric"]]
                worse = difference["high"] < -margin
                wanted = "no worse" if difference["low"] > -margin else "worse" if worse else "not shown"
                assert guard["verdict"] == wanted
            assert one["guards"][0]["verdict"] == "no worse"
            length = measured["recommenders"]["control"]["metrics"]["episode_length"]["estimate"]
            assert one["guards"][2]["margin"] == pytest.approx(0.02 * length, abs=1e-5)
    verdicts = {
        guard["verdict"]
        for measured in results["user_splits"].values()
        for one in measured["experiment"]["arms"].values()
        for guard in one["guards"]
    }
    assert len(verdicts) > 1


def test_segments_are_the_users_of_each_level_of_a_trait_and_add_up(made: tuple[Path, dict[str, Any]]) -> None:
    _, results = made
    for measured in results["user_splits"].values():
        segments = measured["experiment"]["segments"]
        assert {one["trait"] for one in segments} == {"activity", "conformity", "diversity"}
        for trait in ("activity", "conformity", "diversity"):
            own = [one for one in segments if one["trait"] == trait]
            assert sum(one["users"] for one in own) == measured["users"]
            assert sum(one["episodes"] for one in own) == measured["episodes"]
            for arm in ("new", "other"):
                parts = sum(one["episodes"] * one["differences"][arm]["estimate"] for one in own)
                whole = measured["differences"]["control"]["recommenders"][arm]["metrics"]["mean_reward"]["estimate"]
                assert parts / measured["episodes"] == pytest.approx(whole, abs=1e-4)
        assert all(one["small"] == (one["users"] < 30) for one in segments)


def test_new_users_are_compared_with_known_ones(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, results = made
    for arm, apart in results["experiment"]["test_above_train"].items():
        known, new = (
            results["user_splits"][split]["differences"]["control"]["recommenders"][arm]["metrics"]["mean_reward"]
            for split in ("train", "test")
        )
        assert apart["estimate"] == pytest.approx(new["estimate"] - known["estimate"], abs=1e-5)
        width = np.hypot(new["high"] - new["low"], known["high"] - known["low"])
        assert apart["high"] - apart["low"] == pytest.approx(width, rel=0.3)
    one = evaluate({**ARMS, "user_splits": ["test"], "episodes": 3}, tmp_path / "e")
    assert "test_above_train" not in one["experiment"]


def test_the_records_alone_give_an_experiment_again(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, results = made
    shutil.copytree(out, tmp_path / "moved")
    assert compute_results(tmp_path / "moved") == results == json.loads((out / "evaluation.json").read_text())


def test_one_user_shows_nothing_and_the_page_says_so(tmp_path: Path) -> None:
    from emosim_core.reports.evaluation_report import report_of_evaluation

    values = {**ARMS, "user_dataset": "sampled:n=1", "user_splits": ["all"], "episodes": 3, "guards": ["mean_rating"]}
    results = evaluate(values, tmp_path / "e")
    measured = results["user_splits"]["all"]["experiment"]
    assert measured["segments"] == []
    for one in measured["arms"].values():
        assert set(one["smallest_difference"].values()) == {None}
        assert one["live_test"]["users"] is None
        assert [guard["verdict"] for guard in one["guards"]] == ["not shown"]
    headline = report_of_evaluation(tmp_path / "e").headline
    assert "'new' has no interval" in headline
    assert "not shown to hold: 'new' in mean rating, 'other' in mean rating." in headline


def test_a_damaged_experiment_is_said_to_be_so(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, results = made
    shutil.copytree(out, tmp_path / "e")
    for name, value in (("control", "nobody"), ("guards", ["nothing"]), ("metric", "coverage"), ("effect", "big")):
        broken = {**results, "config": {**results["config"], name: value}}
        (tmp_path / "e" / "evaluation.json").write_text(json.dumps(broken))
        with pytest.raises(RunError, match=r"damaged|nothing|coverage|effect"):
            compute_results(tmp_path / "e")


# ----------------------------------------------------------------------------------------- several trainings


def samples_of(values: Any, resamples: int, seed: int) -> dict[str, Sample]:
    """A sample of each training, of values of each user, ``(trainings, users)``; the same users are drawn for all."""
    rng = np.random.default_rng(seed)
    users = values.shape[1]
    weights = rng.multinomial(users, np.full(users, 1 / users), size=resamples) / users
    return {
        str(number): Sample(("m",), np.array([own.mean()]), (weights @ own)[:, None])
        for number, own in enumerate(values)
    }


@pytest.mark.parametrize("trainings", [2, 3, 5])
@pytest.mark.parametrize("deviation", [0.05, 0.3])
def test_an_interval_that_counts_users_and_trainings_covers(trainings: int, deviation: float) -> None:
    """Values are of users, of trainings, and of both; the interval is to hold 0, the mean of all that could be."""
    rng = np.random.default_rng(17)
    covered, of_users_alone = 0, 0
    for number in range(400):
        users = rng.normal(0, 1, (1, 80))
        values = users + rng.normal(0, deviation, (trainings, 1)) + rng.normal(0, 0.5, (trainings, 80))
        samples = samples_of(values, 400, number)
        own = arm_samples({"a": list(samples)}, samples, (number,))["a"]
        low, high = percentiles(own.drawn)
        covered += bool(low[0] <= 0 <= high[0])
        low, high = percentiles(np.mean([one.drawn for one in samples.values()], axis=0))
        of_users_alone += bool(low[0] <= 0 <= high[0])
    assert covered >= 0.93 * 400
    if deviation > 0.1:
        assert of_users_alone < 0.85 * 400


def test_an_arm_of_several_trainings_is_their_mean_and_has_their_spread() -> None:
    samples = samples_of(np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0], [2.0, 2.0, 2.0]]), 100, 1)
    arms = arm_samples({"one": ["2"], "all": ["0", "1", "2"]}, samples, (1,))
    assert arms["one"] is samples["2"]
    assert arms["all"].exact.tolist() == pytest.approx([3.0])
    assert spread(list(samples.values()), "m") == {
        "deviation": pytest.approx(np.std([2, 5, 2], ddof=1), abs=1e-5),
        "lowest": 2.0,
        "highest": 5.0,
    }
    alike = dict.fromkeys(samples, samples["0"])
    assert (arm_samples({"all": ["0", "1"]}, alike, (1,))["all"].drawn == samples["0"].drawn).all()


# ------------------------------------------------------------------------------------------- what is said


def about(metric: str, differences: Mapping[str, Sequence[float | None]], **verdicts: str) -> str:
    measured = {
        "differences": {
            "control": {
                "recommenders": {
                    arm: {"metrics": {metric: dict(zip(("estimate", "low", "high"), values, strict=True))}}
                    for arm, values in differences.items()
                }
            }
        },
        "experiment": {
            "arms": {
                arm: {"guards": [{"metric": "share_liked", "verdict": verdicts[arm]}] if arm in verdicts else []}
                for arm in differences
            }
        },
    }
    return evaluation_verdict({"experiment": {"metric": metric, "control": "c"}}, "test", measured)


def test_a_verdict_says_higher_or_lower_where_the_interval_leaves_out_0_alone() -> None:
    assert about("mean_reward", {"a": (3.0, 1.0, 5.0), "b": (-3.0, -5.0, -1.0), "d": (1.0, -1.0, 3.0)}) == (
        "Reward per episode against 'c' with test users: 'a' higher, +3.0 [+1.0, +5.0]; 'b' lower, -3.0 [-5.0, -1.0]; "
        "'d' no difference shown, +1.0 [-1.0, +3.0]."
    )
    assert about("share_liked", {"a": (0.03, 0.01, 0.05)}, a="no worse") == (
        "Share liked against 'c' with test users: 'a' higher, +3.0 pp [+1.0 pp, +5.0 pp]. All guards hold."
    )
    assert about("mean_reward", {"a": (3.0, None, None), "b": (1.0, 0.5, 2.0)}, a="worse", b="no worse") == (
        "Reward per episode against 'c' with test users: 'a' has no interval; 'b' higher, +1.0 [+0.5, +2.0]. Guards "
        "that are not shown to hold: 'a' in share liked."
    )
    many = about("mean_reward", dict.fromkeys("uvwxyz", (1.0, 0.5, 2.0)))
    assert many.endswith("; and 2 more.")


def test_a_difference_of_shares_is_written_in_percentage_points() -> None:
    assert written_difference(metric_named("share_liked"), -0.0312) == "-3.1 pp"
    assert written_difference(metric_named("mean_rating"), 0.126) == "+0.13"


# ------------------------------------------------------------------------------------------------- arms


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("popular", "popular"),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000/a"),
        ("python:own/file.py:recommend", "python:own/file.py:recommend"),
        ("item_knn:runs/logs", "item_knn:runs/logs"),
        ("runs/a", ("runs/a",)),
        ("runs/a, runs/b", ("runs/a", "runs/b")),
        ("./a,b", ("./a", "b")),
        (["a", Path("b")], ("a", "b")),
        (Path("a"), ("a",)),
        ({"name": "popular"}, {"name": "popular"}),
    ],
)
def test_an_arm_is_a_policy_or_directories(written: Any, meant: Any) -> None:
    assert arm_value(written) == meant
    assert arm_value(meant) == meant


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9 .+-]{0,20}", fullmatch=True).map(str.strip),
        st.sampled_from(["popular", "random:k=1,n=2", "http://h:1/x?a=b"]),
        min_size=1,
    )
)
def test_texts_of_arms_are_read_as_a_table_of_them(arms: dict[str, str]) -> None:
    texts = [f"{name}={value}" for name, value in arms.items()]
    assert own_values({"plugin": "movies", "arm": texts}) == own_values({"plugin": "movies", "arms": arms})


def test_a_folder_of_trainings_and_a_sweep_stand_for_the_trainings_in_them(tmp_path: Path) -> None:
    one, other = (trained(tmp_path / "seeds" / name, seed=number) for number, name in enumerate("ab"))
    (tmp_path / "seeds" / "notes").mkdir()
    sweep = [trained(tmp_path / "sweep" / "jobs" / name, seed=number) for number, name in enumerate("ab")]
    (tmp_path / "sweep" / "manifest.json").write_text('{"kind": "sweep"}')
    values = own_values({"arms": {"a": [tmp_path / "seeds"], "b": str(tmp_path / "sweep"), "c": [one]}})
    assert values["arms"] == {"a": [one, other], "b": sweep, "c": [one]}
    config = config_of(policies=["random"], arms=values["arms"])
    registry = Registry()
    made = [(one.arm, one.name, one.model) for one in recommenders_of(config, registry)]
    assert made == [
        ("a", "a/a", one),
        ("a", "a/b", other),
        *(("b", f"b/{name}", path) for name, path in zip("ab", sweep, strict=True)),
        ("c", "c", one),
        ("random", "random", None),
    ]
    assert base(values, None)[0] == Path(one)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigurationError, match=r"the arm 'a': .*empty holds no trained recommender"):
        own_values({"arms": {"a": [empty]}})


def test_trainings_of_one_arm_that_differ_in_more_than_the_seed_or_not_in_it_are_noted(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "a"), trained(tmp_path / "b", max_steps=9)
    notes = notes_on(config_of(arms={"control": "random", "t": [one, other]}))
    assert any("'t' differ in more than the seed: max_steps" in note for note in notes)
    assert any("'t' have the same seed" in note for note in notes)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"arms": {"a": "popular"}, "policies": []}, "there is one, 'a': add another"),
        ({"arms": {"a": "popular", "A": "random"}}, "differ in upper and lower case alone"),
        ({"arms": {"a/b": "popular", "c": "random"}}, "the name 'a/b' of an arm must be of letters"),
        ({"arms": {"": "popular", "c": "random"}}, "the name '' of an arm"),
        ({"arms": {"a": "populr", "b": "random"}}, "the arm 'a': .*Did you mean 'popular'"),
        ({"arms": {"a": [], "b": "random"}}, "the arm 'a': no directory is named"),
        ({"arms": {"a": ["x", "./x"], "b": "random"}}, "the arm 'a': a directory is named twice"),
        ({"arms": {"a": ["nowhere"], "b": "random"}}, "the arm 'a': nowhere is no trained recommender"),
        ({"arms": {"new": "popular", "b": "random"}, "control": "nwe"}, "'nwe' is no arm. Did you mean 'new'"),
        ({"control": "populr"}, "'populr' is no arm. Did you mean 'popular'"),
        ({"guards": ["mean_ratin"]}, "Did you mean 'mean_rating'"),
        ({"guards": ["coverage"]}, "no metric 'coverage' can be a guard"),
        ({"guards": ["mean_rating=-1"]}, "margin of the guard 'mean_rating' must be a number above 0, got '-1'$"),
        ({"guards": ["mean_rating=x"]}, "margin of the guard 'mean_rating' must be a number above 0, got 'x'$"),
        ({"guards": ["valence_at_end"]}, "needs a margin, such as valence_at_end=0.05"),
        ({"guards": ["mean_rating=1", "mean_rating=2"]}, "'mean_rating' is named twice"),
        ({"metric": "coverage", "control": "random"}, "no metric 'coverage' can decide"),
        ({"effect": 0}, "effect"),
        ({"effect": float("inf")}, "effect"),
    ],
)
def test_a_mistake_in_an_experiment_is_one_clear_message(more: dict[str, Any], message: str) -> None:
    with pytest.raises(EmoSimError, match=message):
        recommenders_of(config_of(**more), Registry())


def test_a_recommender_of_another_domain_is_refused_before_anything_is_simulated(tmp_path: Path) -> None:
    other = trained(tmp_path / "b", plugin="books")
    for more in ({"arms": {"control": "random", "t": [other]}}, {"recommenders": [other]}):
        with pytest.raises(ConfigurationError, match="was trained on 'books', and this evaluation is of 'movies'"):
            evaluate({**SMALL, **more}, tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_a_directory_that_could_be_meant_is_named_with_how_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "training")
    with pytest.raises(EmoSimError, match=r"the arm 't': .* For the directory training, write \./training\."):
        recommenders_of(config_of(arms={"control": "random", "t": "training"}), Registry())


def test_guards_may_be_a_table_and_metrics_that_can_guard_have_a_better_direction() -> None:
    assert config_of(guards={"mean_rating": None, "share_liked": 0.02}).guards == ("mean_rating", "share_liked=0.02")
    assert read_guard(" mean_rating = 0.5 ") == ("mean_rating", 0.5)
    for metric in METRICS:
        if metric.better and metric.sums:
            assert read_guard(f"{metric.name}=1") == (metric.name, 1.0)
        else:
            with pytest.raises(ValueError, match="can be a guard"):
                read_guard(f"{metric.name}=1")


def test_an_evaluation_without_arms_is_no_experiment_until_something_of_one_is_given() -> None:
    arms = {"a": ["a"], "b": ["b"]}
    assert Experiment.of({}, arms) is None
    assert not config_of().is_experiment
    for more in ({"control": "random"}, {"guards": ["mean_rating"]}, {"effect": 2.0}):
        config = config_of(**more)
        assert config.is_experiment
        made = Experiment.of(config.stored(), arms)
        assert made is not None
        assert made.others == (["a", "b"] if made.control == "random" else ["b"])


# ------------------------------------------------------------------------------ parts, with numbers made up


def experiment(trainings: int = 1, **fields: Any) -> Experiment:
    """Two arms, of which the second has several trainings."""
    arms = {"c": ["c"], "a": [f"a{number}" for number in range(trainings)]}
    about = {"control": "c", "metric": metric_named("mean_rating"), "effect": None, "guards": ()}
    return Experiment(**{"arms": arms, **about, **fields})


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.4, 0.2, "no worse"), (-0.49, -0.1, "no worse"), (-0.51, 0.2, "not shown"), (-0.9, 0.2, "not shown"),
        (-0.9, -0.51, "worse"), (-0.9, -0.49, "not shown"), (0.1, 0.2, "no worse"), (None, None, "not shown"),
    ],
)  # fmt: skip
def test_a_guard_is_decided_by_where_the_whole_interval_lies(
    low: float | None, high: float | None, verdict: str
) -> None:
    names = ("mean_rating",)
    samples = {"c": Sample(names, np.array([-8.0]), np.full((100, 1), -8.0))}
    drawn = np.full((100, 1), np.nan) if low is None else np.linspace(low, high or 0, 100)[:, None]
    if low is not None:
        drawn[:30], drawn[70:] = low, high
    above = Sample(names, np.array([0.0]), drawn)
    (guard,) = experiment(guards=[("mean_rating", 0.5)])._guards(samples, above)
    assert (guard["margin"], guard["verdict"]) == (0.5, verdict)
    (unnamed,) = experiment(guards=[("mean_rating", None)])._guards(samples, above)
    assert unnamed["margin"] == pytest.approx(0.02 * 8)


@pytest.mark.parametrize("trainings", [1, 2, 4])
def test_errors_of_users_and_of_trainings_add_up_in_squares(trainings: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    one = experiment(trainings)
    names = tuple(metric.name for metric in METRICS if metric.sums)
    moved = {name: rng.normal(size=(30, len(names))) for name in ("c", *one.arms["a"])}
    samples = {name: Sample(names, rng.normal(size=len(names)), np.zeros((1, len(names)))) for name in moved}
    smallest = one._smallest("a", samples, moved)
    apart = np.mean([moved[name] for name in one.arms["a"]], axis=0) - moved["c"]
    square = smallest_difference(apart.var(axis=0, ddof=1), 30) ** 2
    if trainings > 1:
        values = np.array([samples[name].exact for name in one.arms["a"]])
        detected = stats.t.ppf(0.975, trainings - 1) + stats.t.ppf(0.8, trainings - 1)
        square = square + detected**2 * values.var(axis=0, ddof=1) / trainings
    assert [smallest[name] for name in names] == pytest.approx(np.sqrt(square).tolist(), abs=1e-5)
    alone = one._smallest("a", samples, {name: values[:1] for name, values in moved.items()})
    assert set(alone.values()) == {None}


def test_a_live_test_has_users_for_the_measured_difference_and_for_both_ends_where_it_is_shown() -> None:
    rng = np.random.default_rng(6)
    names = tuple(metric.name for metric in METRICS if metric.sums)
    place = names.index("mean_rating")
    moved = {name: rng.normal(size=(30, len(names))) for name in ("c", "a0", "a1")}
    variances = moved["c"][:, place].var(ddof=1) + np.mean([moved[one][:, place].var(ddof=1) for one in ("a0", "a1")])

    def of(low: float, high: float, **fields: Any) -> dict[str, Any]:
        drawn = np.full((100, len(names)), low)
        drawn[50:] = high
        above = Sample(names, np.full(len(names), (low + high) / 2), drawn)
        return experiment(2, **fields)._live_test("a", above, moved)

    def users(difference: float) -> int:
        each = users_of_a_test(float(variances), difference)
        assert each is not None
        return 2 * each

    assert of(0.2, 0.6) == {"difference": 0.4, "users": users(0.4), "at_least": users(0.6), "at_most": users(0.2)}
    assert of(-0.6, -0.2) == {"difference": -0.4, "users": users(0.4), "at_least": users(0.6), "at_most": users(0.2)}
    assert of(-0.2, 0.6) == {"difference": 0.2, "users": users(0.2), "at_least": users(0.6), "at_most": None}
    given = {"difference": 0.1, "users": users(0.1), "at_least": None, "at_most": None}
    assert of(0.2, 0.6, effect=0.1) == given
