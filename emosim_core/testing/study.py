"""StudyConformance: holds a study to its contract."""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.studies.study import SIDES, Metric, RatedTrials, Study, StudySetting, Trials, rated_trials
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld


class StudyConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`.

    A made-up domain has written users and shares of real ratings, and series among its items. A study that lacks
    something all the same says so with a ConfigurationError, and is checked no further.
    """

    kind = "study"
    interface = Study

    def test_its_trials_can_be_put(self) -> None:
        for world in self.worlds():
            scale, items = world.scale, len(world.catalog)
            for trial in self._trials(world).trials:
                for item, rating in trial.memory:
                    known = 0 <= item < items and scale.contains(rating)
                    hold("study-memory", known, f"the item {item} with the rating {rating} on the scale {scale}.")
                hold("study-sides", trial.side in SIDES, f"the side {trial.side!r}.")
                for bound in (trial.at_least, trial.at_most):
                    inside = bound is None or scale.low <= bound <= scale.high
                    hold("study-bounds", inside, f"the bound {bound} on the scale {scale}.")

    def test_the_same_seed_gives_the_same_trials(self) -> None:
        for world in self.worlds():
            first, again = (self._trials(world) for _ in range(2))
            hold("study-repeats", first == again, "other trials the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            with untouched("study-reads", world.arrays()):
                self._trials(world)
            rated = answers(world, self._trials(world))
            columns = {name: getattr(rated, name) for name in ("ratings", "succeeded", "sides", "groups", "clusters")}
            with untouched("study-reads", {f"the column {name}": column for name, column in columns.items()}):
                self._measures(rated)

    def test_its_measures_are_shares_made_of_sums(self) -> None:
        for world in self.worlds():
            rated = answers(world, self._trials(world))
            for metric in self._measures(rated):
                with no_error("study-metrics", f"the value of {metric.name!r}"):
                    value = np.asarray(metric.value(metric.sums.sum(axis=0)))
                    several = np.asarray(metric.value(np.stack([metric.sums.sum(axis=0)] * 3)))
                hold("study-metrics", value.shape == () and several.shape == (3,), f"values of {several.shape}.")
                hold("study-metrics", bool(0 <= float(value) <= 1), f"the value {float(value)} of {metric.name!r}.")

    def test_a_failed_rating_adds_nothing(self) -> None:
        for world in self.worlds():
            rated = answers(world, self._trials(world), failed=0.3)
            for metric in self._measures(rated):
                adding = np.abs(np.asarray(metric.sums)[~rated.answered]).sum()
                hold("study-failed", not adding, f"failed ratings add {adding:g} to {metric.name!r}.")

    def _trials(self, world: SmallWorld) -> Trials:
        study: Study = self.make()
        users = np.arange(len(world.population))
        domain = replace(self.domain_of(world), scale=world.scale)
        setting = StudySetting(domain, world.catalog, world.population, users, np.random.default_rng(5))
        with no_error("study-trials", f"trials() of {self.subject}", {ConfigurationError: None}):
            try:
                made = study.trials(setting)
            except ConfigurationError as error:
                raise SkipTest(f"it lacks something here: {error}") from error
        hold("study-trials", isinstance(made, Trials), f"a {type(made).__name__}.")
        hold("study-trials", len(made.trials) > 0, "no trial.")
        ids = [user.id for user in made.users]
        hold("study-trials", len(set(ids)) == len(ids), "two users with the same id.")
        for trial in made.trials:
            known = 0 <= trial.user < len(ids) and 0 <= trial.item < len(world.catalog)
            hold("study-trials", known, f"the user {trial.user} and the item {trial.item}.")
        return made

    def _measures(self, rated: RatedTrials) -> list[Metric]:
        study: Study = self.make()
        with no_error("study-metrics", f"measures() of {self.subject}"):
            made = list(study.metrics(rated))
        hold("study-metrics", bool(made), "no measure.")
        count = len(rated.ratings)
        for one in made:
            hold("study-metrics", isinstance(one, Metric), f"a {type(one).__name__}.")
            shaped = one.concerned.shape == (count,) and one.sums.shape[:1] == (count,) and one.sums.ndim == 2
            detail = f"{one.concerned.shape} and {one.sums.shape} for {count} ratings."
            hold("study-metrics", shaped, detail)
        return made


def answers(world: SmallWorld, trials: Trials, failed: float = 0.0) -> RatedTrials:
    """Random ratings of trials, of which about the share ``failed`` failed."""
    ratings = world.ratings(len(trials.trials), 1, seed=11, failed=failed)[:, 0]
    records = [
        {
            **{name: getattr(trial, name) for name in ("side", "group", "at_least", "at_most")},
            "cluster": trial.cluster or trials.users[trial.user].id,
            "rating": None if rating != rating else rating,
        }
        for trial, rating in zip(trials.trials, ratings.tolist(), strict=True)
    ]
    return rated_trials(records, world.scale, trials.facts)
