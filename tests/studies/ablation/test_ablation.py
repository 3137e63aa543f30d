"""Ablations: the trials that studies make, what their metrics are, and a sweep that resumes and repeats itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core import ConfigurationError, EnvironmentConfig, PluginError, RunError
from emosim_core.hooks.fields import split_components
from emosim_core.plugins import RatingScale, Registry, Study, StudySetting, Trial, Trials, World, assemble
from emosim_core.runs.cells import Cell, Local, OnProgress, Worlds
from emosim_core.runs.processes import Processes, ProcessesOptions
from emosim_core.stats import bootstrap, bootstrap_difference, wilson
from emosim_core.studies import trials as trials_module
from emosim_core.studies.ablation.ablation import Ablation, results, resumed
from emosim_core.studies.ablation.grid import AblationConfig, choices, jobs
from emosim_core.studies.ablation.jobs import read_job
from emosim_core.studies.ablation.metrics import metric_record
from emosim_core.studies.ablation.studies import (
    CategoryPreference,
    Collections,
    CollectionsOptions,
    HighRating,
    ItemsOptions,
    LowRating,
    PreferenceOptions,
    Sampling,
    SamplingOptions,
)
from emosim_core.studies.study import RatedTrials, mean_of_both_shares, success_share
from emosim_core.studies.trials import draw_trials, run_trials
from emosim_core.testing import ScriptedRater

SMALL: list[Any] = [
    "category_preference:items=3",
    "high_rating:items=2",
    "low_rating:items=2",
    "collections:users=3",
    "sampling:pairs=60",
]
"""All studies, with few ratings."""


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {plugin: assemble(EnvironmentConfig(plugin=plugin)) for plugin in ("movies", "books")}


@pytest.fixture(params=["movies", "books"])
def world(request: Any, worlds: dict[str, World]) -> World:
    return worlds[request.param]


def chosen(study: Study, world: World, seed: int = 1) -> Trials:
    return draw_trials(study, type(study).__name__, world, seed, "the study")


def of_ten(world: World, rating: float | None) -> float | None:
    """A rating of the domain, put on 1 to 10."""
    return None if rating is None else 1 + 9 * (rating - world.domain.scale.low) / world.domain.scale.span


# ------------------------------------------------------------------------------------------- the trials


def test_four_written_users_for_each_of_eight_categories_rate_twenty_items_of_it_and_twenty_others(
    world: World,
) -> None:
    trials = chosen(CategoryPreference(), world)
    assert len(trials.users) == 4 * 8
    assert len({trial.group for trial in trials.trials}) == 8
    for index, user in enumerate(trials.users):
        (category,) = user.liked
        own = [trial for trial in trials.trials if trial.user == index]
        for side, wanted, bounds in (("positive", True, (8.0, None)), ("negative", False, (None, 5.0))):
            some = [trial for trial in own if trial.side == side]
            assert len({trial.item for trial in some}) == len(some) == 20
            for trial in some:
                assert (category in world.catalog.items[trial.item].categories) is wanted
                assert (of_ten(world, trial.at_least), of_ten(world, trial.at_most)) == pytest.approx(bounds)
                assert trial.memory == ()


def test_with_few_opinions_the_same_users_are_asked_about_the_same_items(world: World) -> None:
    every, few = (chosen(CategoryPreference(PreferenceOptions(opinions=one)), world) for one in ("all", "few"))
    assert every.trials == few.trials
    for before, after in zip(every.users, few.users, strict=True):
        assert len(before.disliked) > 4 >= len(after.disliked)
        assert after == before.model_copy(update={"disliked": after.disliked})


@pytest.mark.parametrize(("study", "bounds"), [(HighRating, (9.0, None)), (LowRating, (None, 3.0))])
def test_four_users_of_one_opinion_rate_twenty_items_of_each_category_each_others_of_their_own(
    world: World, study: type[Study], bounds: tuple[float | None, float | None]
) -> None:
    trials = chosen(study(), world)
    assert len(trials.users) == 4
    items = [[trial.item for trial in trials.trials if trial.user == user] for user in range(4)]
    assert [len(set(some)) for some in items] == [160] * 4
    assert len({tuple(some) for some in items}) == 4
    assert {trial.cluster for trial in trials.trials} == {one.id for one in trials.users}
    for trial in trials.trials:
        assert (of_ten(world, trial.at_least), of_ten(world, trial.at_most)) == pytest.approx(bounds)


def test_who_is_asked_about_the_last_part_remembers_the_earlier_ones_among_as_many_others(world: World) -> None:
    trials = chosen(Collections(CollectionsOptions(users=7)), world).trials
    catalog, scale = world.catalog, world.domain.scale
    public = scale.round(catalog.public_ratings)
    for first, second in zip(trials[::2], trials[1::2], strict=True):
        assert (first.side, second.side) == ("positive", "negative")
        assert (first.user, first.item, first.group) == (second.user, second.item, second.group)
        assert [item for item, _ in first.memory] == [item for item, _ in second.memory]
        parts = sorted((item.part, index) for index, item in enumerate(catalog.items) if item.collection == first.group)
        assert first.item == parts[-1][1]
        for trial, mark in ((first, scale.high), (second, scale.low)):
            known = dict(trial.memory)
            earlier = {index for _, index in parts[:-1]}
            assert all(known.pop(index) == mark for index in earlier)
            assert len(known) == len(earlier)
            assert all(rating == public[index] for index, rating in known.items())
        assert of_ten(world, first.at_least) == pytest.approx(7)
        assert of_ten(world, second.at_most) == pytest.approx(5)
    assert len({trial.group for trial in trials}) == len({i.collection for i in catalog.items if i.collection})
    assert len(trials) == 2 * 7 * len({trial.group for trial in trials})


def test_pairs_are_drawn_once_each_from_all_users_that_may_be_asked(worlds: dict[str, World]) -> None:
    trials = chosen(Sampling(), worlds["movies"])
    pairs = {(trial.user, trial.item) for trial in trials.trials}
    assert len(pairs) == len(trials.trials) == 2000
    assert trials.facts["real_ratings"] == list(worlds["movies"].domain.real_ratings)
    few = assemble(EnvironmentConfig(plugin="movies", user_split="test", user_dataset="sampled:n=10"))
    assert len(chosen(Sampling(), few).users) == 2


@pytest.mark.parametrize("study", [CategoryPreference, HighRating, LowRating, Collections, Sampling])
def test_the_same_seed_makes_the_same_trials_and_another_seed_makes_others(
    worlds: dict[str, World], study: type[Study]
) -> None:
    first, again, other = (chosen(study(), worlds["books"], seed) for seed in (1, 1, 2))
    assert first == again
    assert first.trials != other.trials


def test_a_world_without_material_is_an_error_that_says_so(worlds: dict[str, World]) -> None:
    from dataclasses import replace

    world = replace(worlds["movies"], domain=replace(worlds["movies"].domain, study_users=None, real_ratings=()))
    for study, message in ((CategoryPreference(), "'study_users'"), (Sampling(), "'real_ratings'")):
        with pytest.raises(ConfigurationError, match=message):
            chosen(study, world)


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (Trial(5, 0), "the user 5 of 1"),
        (Trial(0, -1), "the item -1 of"),
        (Trial(0, 0, "good"), "the side 'good'"),
        (Trial(0, 0, memory=((0, 99.0),)), "a memory that is no item"),
    ],
)
def test_a_trial_that_cannot_be_put_is_the_fault_of_its_study(
    worlds: dict[str, World], trial: Trial, message: str
) -> None:
    class Wrong(Study):
        def trials(self, setting: StudySetting) -> Trials:
            return Trials(setting.population.users[:1], [trial])

    with pytest.raises(PluginError, match=f"the study made the trial 0 with {message}"):
        chosen(Wrong(), worlds["movies"])


# ------------------------------------------------------------------------------------------- the asking


def trial_records(world: World, script: Callable[[int, int, int], float], trials: Trials) -> list[dict[str, Any]]:
    from dataclasses import replace

    return list(run_trials(replace(world, rater=ScriptedRater(script)), trials, seed=3))


def rated(records: Sequence[dict[str, Any]], world: World, tmp_path: Path, facts: Any = None) -> RatedTrials:
    """Records, read back as a job's."""
    scale = world.domain.scale
    study = {"name": "made", "options": {}, "provider": "emosim-core 0.1.0", "spec": "made"}
    head = {"format": 2, "study": study, "seed": 0, "variant": {}, "facts": facts or {}}
    head["scale"] = [scale.low, scale.high, scale.step]
    lines = [json.dumps({**head, "trials": len(records)}), *map(json.dumps, records)]
    (tmp_path / "records.jsonl").write_text("\n".join(lines) + "\n")
    return read_job(tmp_path).rated


def test_who_answers_as_they_are_gets_everything_right(world: World, tmp_path: Path) -> None:
    scale = world.domain.scale
    for study, facts in (
        (CategoryPreference(PreferenceOptions(items=4)), None),
        (HighRating(ItemsOptions(items=2)), None),
        (LowRating(ItemsOptions(items=2)), None),
        (Collections(CollectionsOptions(users=2)), None),
    ):
        trials = chosen(study, world)
        right = iter([scale.high if trial.at_least is not None else scale.low for trial in trials.trials])
        columns = rated(trial_records(world, lambda *_: next(right), trials), world, tmp_path, facts)  # noqa: B023
        for metric in study.metrics(columns):
            record = metric_record(metric, columns)
            assert record["estimate"] == 1.0
            assert 0.3 < record["low"] < 1.0 == record["high"]


def test_a_failed_rating_is_recorded_as_failed_counted_and_no_rating(world: World, tmp_path: Path) -> None:
    trials = chosen(HighRating(ItemsOptions(items=2)), world)
    answers = iter([np.nan if number % 4 == 0 else world.domain.scale.high for number in range(len(trials.trials))])
    records = trial_records(world, lambda *_: next(answers), trials)
    assert [one["rating"] is None for one in records] == [number % 4 == 0 for number in range(len(records))]
    columns = rated(records, world, tmp_path)
    record = metric_record(success_share(columns, "positive"), columns)
    assert record["ratings"] == len(records)
    assert record["failed"] == len(records) // 4
    assert record["estimate"] == 1.0


def test_no_rating_depends_on_how_many_trials_are_put_together(
    worlds: dict[str, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = assemble(EnvironmentConfig(plugin="movies", perturbator="gaussian"))
    trials = chosen(Collections(CollectionsOptions(users=2)), world)
    at_once = list(run_trials(world, trials, seed=3))
    monkeypatch.setattr(trials_module, "AT_ONCE", 7)
    assert list(run_trials(world, trials, seed=3)) == at_once
    assert list(run_trials(world, trials, seed=4)) != at_once


def test_what_counts_is_the_rating_after_the_perturbator() -> None:
    world = assemble(EnvironmentConfig(plugin="movies", perturbator="gaussian:sd=3"))
    records = list(run_trials(world, chosen(Sampling(SamplingOptions(pairs=200)), world), seed=3))
    assert sum(one["raw_rating"] != one["rating"] for one in records) > 100
    assert all(world.domain.scale.contains(one["rating"]) for one in records)


def test_a_record_says_what_was_in_memory_and_what_of_it_was_retrieved(worlds: dict[str, World]) -> None:
    world = worlds["movies"]
    trials = chosen(Collections(CollectionsOptions(users=1)), world)
    for trial, one in zip(trials.trials, run_trials(world, trials, seed=3), strict=True):
        assert [world.catalog.index[item] for item, _ in one["memory"]] == [item for item, _ in trial.memory]
        assert len(set(one["retrieved"])) == min(3, len(trial.memory))
        assert all(0 <= place < len(trial.memory) for place in one["retrieved"])
        assert one["reason"].startswith("From ")


# ------------------------------------------------------------------------------------------ the metrics


def columns(ratings: Sequence[float], clusters: Sequence[str], **more: Any) -> RatedTrials:
    values = np.array(ratings, dtype=np.float64)
    count = len(values)
    return RatedTrials(
        values,
        np.where(np.isnan(values), np.nan, values >= 8),
        np.array(more.get("sides", ["positive"] * count)),
        np.array([""] * count),
        np.array(clusters),
        RatingScale(low=1, high=10),
        more.get("facts", {}),
    )


@pytest.mark.parametrize("answered", [1, 7, 64, 1000])
def test_the_interval_of_a_share_is_wilsons(answered: int) -> None:
    from scipy.stats import binomtest

    for successes in {0, 1, answered // 3, answered}:
        expected = binomtest(successes, answered).proportion_ci(method="wilson")
        assert wilson(successes, answered) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_bootstrap_draws_whole_clusters_the_same_way_every_time() -> None:
    rng = np.random.default_rng(0)
    ratings = np.where(rng.random(40) < 0.5, 10.0, 1.0).repeat(25)
    alone = columns(ratings, [f"t{number}" for number in range(1000)])
    together = columns(ratings, np.repeat([f"p{number}" for number in range(40)], 25).tolist())
    narrow, wide = (metric_record(success_share(some, "positive"), some) for some in (alone, together))
    assert (narrow["interval"], wide["interval"]) == ("Wilson", "bootstrap")
    assert narrow["estimate"] == wide["estimate"]
    spread = [record["high"] - record["low"] for record in (narrow, wide)]
    assert spread[1] / spread[0] == pytest.approx(5, rel=0.15)  # 25 equal answers are one
    assert metric_record(success_share(together, "positive"), together) == wide


def test_where_all_agree_an_interval_is_still_no_point() -> None:
    trials = columns([10.0] * 40, [f"p{number % 8}" for number in range(40)])
    record = metric_record(success_share(trials, "positive"), trials)
    assert record["interval"] == "Wilson over clusters"
    assert (record["low"], record["high"]) == pytest.approx(wilson(8, 8), abs=1e-6)


def test_the_mean_of_both_sides_counts_each_side_half() -> None:
    trials = columns([10, 10, 10, 1, 9], list("aabbc"), sides=["positive"] * 3 + ["negative"] * 2)
    assert metric_record(mean_of_both_shares(trials), trials)["estimate"] == (1.0 + 0.5) / 2


def test_where_nothing_was_answered_there_is_no_metric() -> None:
    trials = columns([np.nan] * 3, list("abc"))
    record = metric_record(success_share(trials, "positive"), trials)
    assert (record["estimate"], record["low"], record["failed"], record["interval"]) == (None, None, 3, "")


def test_the_distance_is_half_the_sum_of_differences_of_shares() -> None:
    from scipy.spatial.distance import cityblock

    users = [0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1]
    rng = np.random.default_rng(1)
    ratings = rng.choice(np.arange(1.0, 11.0), 500, p=users[::-1])
    trials = columns([*ratings, np.nan], [f"p{number % 50}" for number in range(501)], facts={"real_ratings": users})
    record = metric_record(Sampling().metrics(trials)[0], trials)
    shares = np.bincount(ratings.astype(int), minlength=11)[1:] / 500
    assert record["estimate"] == pytest.approx(cityblock(shares, users) / 2, abs=1e-6)
    assert record["better"] == "lower"
    assert record["failed"] == 1


def test_the_interval_of_a_distance_allows_for_what_chance_adds_to_it() -> None:
    users = np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1])
    truth = users + np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, -1]) * 0.01
    inside, above = [], []
    for seed in range(40):
        ratings = np.random.default_rng(seed).choice(np.arange(1.0, 11.0), 600, p=truth)
        trials = columns(ratings, [f"t{number}" for number in range(600)], facts={"real_ratings": users.tolist()})
        record = metric_record(Sampling().metrics(trials)[0], trials)
        inside.append(record["low"] <= 0.05 <= record["high"])
        above.append(record["estimate"] > 0.05)
        assert record["low"] <= record["estimate"] <= record["high"]
    assert np.mean(above) > 0.7
    assert np.mean(inside) > 0.9


def test_a_difference_is_drawn_from_the_same_clusters_on_both_sides() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(200) * 20  # some clusters are harder than others, the same for both variants
    first, second = (np.stack([hard + shift, np.full(200, 21.0)], axis=1) for shift in (1.0, 0.0))

    def share(sums: Any) -> Any:
        return sums[..., 0] / sums[..., 1]

    low, high = bootstrap_difference(first, second, share, share)
    assert low == pytest.approx(1 / 21) == high
    apart = bootstrap(first, share)
    assert apart[1] - apart[0] > 0.05


# --------------------------------------------------------------------------------------------- the grid


def test_names_with_commas_between_keep_their_options() -> None:
    assert split_components("last_3,decay_emotion:k=5,time_decay=0.3, none") == [
        "last_3", "decay_emotion:k=5,time_decay=0.3", "none",
    ]  # fmt: skip
    assert choices(["a", {"name": "b", "k": 2}]) == ["a", {"name": "b", "k": 2}]
    for wrong, message in (("a,b,a", "'a' is named twice"), (",", "expected names")):
        with pytest.raises(ConfigurationError, match=message):
            choices(wrong)


def config(**more: Any) -> AblationConfig:
    values: dict[str, Any] = {
        "environment": {"plugin": "movies"},
        "raters": ["rule_based"],
        "llm_models": [],
        "llm_raters": [],
        "retrievals": ["decay_emotion_3"],
        "perturbators": ["none"],
        "studies": SMALL,
    }
    return AblationConfig(**{**values, **more})


def test_a_grid_is_every_combination_and_every_job_has_a_folder_of_its_own(tmp_path: Path) -> None:
    grid = config(
        raters=["rule_based", "rule_based:noise=0"],
        llm_models=["deepseek-chat"],
        llm_raters=["0Shot_system_our", "1Shot_system_our"],
        retrievals=["last_3", "most_similar_3"],
        perturbators=["none", "gaussian"],
        num_seeds=3,
    )
    planned = jobs(grid, tmp_path)
    assert len(planned) == (2 + 2) * 2 * 2 * 5 * 3 == len({job.key for job in planned})
    assert all(set(job.key) <= set(_LETTERS) for job in planned)
    assert {job.seed for job in planned} == {42, 43, 44}


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"


# -------------------------------------------------------------------------------------------- the sweep


class Stops(Local):
    """Stops after so many jobs, as one that is killed does."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.done: list[str] = []

    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Iterator[Cell]:
        for cell in super().run(cells, worlds, on_progress):
            self.done.append(cell.key)
            yield cell
            if len(self.done) == self.after:
                raise KeyboardInterrupt


def played(directory: Path, **more: Any) -> dict[str, Any]:
    ablation = Ablation(config(**more), directory, Registry())
    return ablation.run(Local())


def records(directory: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in directory.glob("jobs/*/records.jsonl")}


def test_the_results_come_from_the_records_alone_and_a_changed_record_changes_its_metric(tmp_path: Path) -> None:
    payload = played(tmp_path / "a")
    assert payload == json.loads((tmp_path / "a" / "results.json").read_text()) == results(tmp_path / "a", Registry())
    for before in payload["jobs"]:
        path = tmp_path / "a" / "jobs" / before["job"] / "records.jsonl"
        lines = path.read_text().splitlines()
        content = path.read_bytes()
        one = json.loads(lines[1])
        most, least = one["at_most"], one["at_least"]
        high = one["rating"] > most if most is not None else one["rating"] >= (least or 5)
        one["rating"] = 1 if high else 10
        path.write_text("\n".join([lines[0], json.dumps(one), *lines[2:]]) + "\n")
        again = results(tmp_path / "a", Registry())
        after = next(job for job in again["jobs"] if job["job"] == before["job"])
        assert after["metrics"][0]["estimate"] != before["metrics"][0]["estimate"]
        assert [job for job in again["jobs"] if job != after] == [job for job in payload["jobs"] if job != before]
        path.write_bytes(content)
    assert results(tmp_path / "a", Registry()) == payload


def test_a_sweep_that_was_stopped_goes_on_with_the_jobs_that_are_missing(tmp_path: Path) -> None:
    grid = {"retrievals": ["last_2", "best_worst"]}
    whole = played(tmp_path / "whole", **grid)
    ablation = Ablation(config(**grid), tmp_path / "part", Registry())
    stopped = Stops(after=4)
    with pytest.raises(KeyboardInterrupt):
        ablation.run(stopped)
    half = results(tmp_path / "part", Registry())
    assert len(half["missing"]) == 6
    ablation = resumed(tmp_path / "part", Registry(), {})
    rest = Stops(after=99)
    payload = ablation.run(rest)
    assert len(rest.done) == 6
    assert not set(rest.done) & set(stopped.done)
    assert payload == whole
    assert records(tmp_path / "part") == records(tmp_path / "whole")


def test_a_job_that_was_killed_while_it_was_written_is_done_again(tmp_path: Path) -> None:
    payload = played(tmp_path / "a", studies=["sampling:pairs=40"])
    (job,) = payload["jobs"]
    folder = tmp_path / "a" / "jobs" / job["job"]
    (folder / "job.json").unlink()
    (folder / "records.jsonl").write_bytes((folder / "records.jsonl").read_bytes()[:500])
    ablation = resumed(tmp_path / "a", Registry(), {})
    assert ablation.run(Local()) == payload


def test_several_processes_leave_the_same_as_one(tmp_path: Path) -> None:
    grid = {"studies": ["sampling:pairs=50", "low_rating:items=1"], "num_seeds": 2}
    whole = played(tmp_path / "one", **grid)
    ablation = Ablation(config(**grid), tmp_path / "two", Registry())
    counted: list[int] = []
    assert ablation.run(Processes(ProcessesOptions(workers=2)), counted.append) == whole
    assert sum(counted) == 2 * (50 + 32)
    assert records(tmp_path / "two") == records(tmp_path / "one")


def test_a_job_elsewhere_with_other_items_is_refused(tmp_path: Path) -> None:
    class Elsewhere(Local):
        def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Any:
            assert cells[0].arguments.data["items_sha256"]
            other = {**cells[0].arguments.data, "items_sha256": "0"}
            changed = [replace(one, arguments=replace(one.arguments, data=other)) for one in cells]
            return super().run(changed, worlds, on_progress)

    ablation = Ablation(config(studies=["sampling:pairs=50"]), tmp_path / "a", Registry())
    with pytest.raises(RunError, match=r"has other items or users: items_sha256 '\w+' \(expected '0'\)"):
        ablation.run(Elsewhere())


def test_an_error_in_another_process_is_raised_as_it_is(tmp_path: Path) -> None:
    class Hindered(Processes):
        def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Any:
            (tmp_path / "a" / "jobs").write_text("a file in the way")
            return super().run(cells, worlds, on_progress)

    ablation = Ablation(config(studies=["sampling:pairs=50"], num_seeds=2), tmp_path / "a", Registry())
    with pytest.raises(Exception, match="cannot be written: Not a directory") as raised:
        ablation.run(Hindered(ProcessesOptions(workers=2)))
    assert type(raised.value).__module__ == "emosim_core.errors"


def test_every_variant_meets_the_same_trials_and_differences_name_the_better_one(
    tmp_path: Path,
) -> None:
    payload = played(tmp_path / "a", retrievals=["none", "most_similar_3"], studies=["collections:users=20"])
    heads = [read_job(path.parent).trials for path in (tmp_path / "a").glob("jobs/*/records.jsonl")]
    assert heads[0] == heads[1]
    sides = {one["side"]: one for one in payload["differences"]}
    assert set(sides) == {"positive", "negative"}
    shares = {
        (job["variant"]["items_retrieval"], metric["side"]): metric["estimate"]
        for job in payload["jobs"]
        for metric in job["metrics"]
    }
    for side, one in sides.items():
        assert one["differs"] == ["items_retrieval"]
        assert one["estimate"] == pytest.approx(shares["none", side] - shares["most_similar_3", side], abs=1e-5)
        assert one["low"] <= one["estimate"] <= one["high"] < 0  # who remembers nothing cannot know better


def test_seeds_are_reported_one_by_one_and_pooled(tmp_path: Path) -> None:
    payload = played(tmp_path / "a", studies=["sampling:pairs=300"], num_seeds=3)
    assert [job["seed"] for job in payload["jobs"]] == [42, 43, 44]
    (pooled,) = payload["pooled"]
    assert pooled["seeds"] == [42, 43, 44]
    assert pooled["metrics"][0]["ratings"] == 900
    table = (tmp_path / "a" / "results.csv").read_text().splitlines()
    assert table[0].startswith("of,study,rater,llm_model,items_retrieval,perturbator,seed,metric,side,estimate")
    assert len(table) == 1 + 3 + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "59 records of 60 trials"),
        (lambda lines: [*lines[:3], "{", *lines[4:]], "line 4: is not JSON"),
        (lambda lines: [*lines[:3], '{"trial": 2}', *lines[4:]], "line 4: is damaged: side: Field required"),
        (lambda lines: ["{}", *lines[1:]], r"records\.jsonl is damaged: format"),
        (lambda lines: [lines[0], lines[1].replace('"rating":', '"rating":11,"_":'), *lines[2:]], "line 2: 11 is no"),
        (lambda lines: [], "is empty"),
    ],
)
def test_damaged_records_are_named_with_their_line(
    tmp_path: Path, change: Callable[[list[str]], list[str]], message: str
) -> None:
    played(tmp_path / "a", studies=["sampling:pairs=60"])
    (path,) = (tmp_path / "a").glob("jobs/*/records.jsonl")
    lines = change(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(RunError, match=message):
        results(tmp_path / "a", Registry())


def test_what_is_resumed_must_be_answered_as_it_was_begun(tmp_path: Path) -> None:
    played(tmp_path / "a", studies=["sampling:pairs=60"])
    path = tmp_path / "a" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["data"]["items_sha256"] = "0"
    manifest["variants"][0]["parts"]["rater"]["provider"] = "emosim-core 0.0.1"
    path.write_text(json.dumps(manifest))
    ablation = resumed(tmp_path / "a", Registry(), {})
    with pytest.raises(
        RunError,
        match=r'cannot be resumed(?s:.*)rater.provider: .*emosim-core 0\.0\.1" then(?s:.*)items_sha256: "0" then',
    ):
        ablation.run(Local())
