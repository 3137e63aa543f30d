"""DomainConformance: holds a domain, with its items, users and environment, to its contract."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

from emosim_core.model import Domain, Emotion, Example, RatingScale, StudyUsers, User, Words
from emosim_core.model.user import TRAITS
from emosim_core.testing.conformance import ComponentConformance, embeddings_of, no_error, registry, run_suite
from emosim_core.testing.contract import hold
from emosim_core.testing.process import in_new_process
from emosim_core.testing.sources import ItemLoaderConformance, UserLoaderConformance

_REGISTERED = """
import importlib, sys
importlib.import_module(sys.argv[1])
import gymnasium
print(*(spec.id for spec in gymnasium.registry.values() if spec.kwargs.get("plugin") == sys.argv[2]))
"""
"""Prints the environments of a domain, in a process that imported its package and nothing else."""

_RUN = {"episodes": 4, "max_steps": 8, "seed": 3}


class DomainConformance(ComponentConformance):
    """Subclass it and set ``component`` to the domain's name, such as ``"music"``.

    Its default items and users are checked too, each by the suite of its kind.
    """

    kind = "domain"
    interface = Domain

    @property
    def name(self) -> str:
        """The name of the domain."""
        return str(self.component)

    def test_its_name_is_that_of_its_component(self) -> None:
        domain: Domain = self.make()
        hold("domain-name", domain.name == self.described()[0].name, f"the domain's name is {domain.name!r}.")
        hold("domain-name", bool(domain.title), "no title.")

    def test_its_plugin_says_that_it_brings_it(self) -> None:
        _, provider = self.described()
        found = f"{provider.label} names {list(provider.domains)} there."
        hold("plugin-declares", self.name in provider.domains, found)

    def test_it_has_all_words(self) -> None:
        words = self.make().words
        hold("domain-words", isinstance(words, Words), f"a {type(words).__name__}.")
        for name in ("item", "items", "consume", "consumed", "consumption", "user", "creators"):
            hold("domain-words", bool(getattr(words, name)), f"nothing for {name!r}.")
        for trait in TRAITS:
            texts = tuple(words.traits.get(trait, ()))
            hold("domain-words", len(texts) == 3 and all(texts), f"{len(texts)} texts for the trait {trait!r}.")
            hold("domain-words", len(set(texts)) == 3, f"the same text for two levels of the trait {trait!r}.")

    def test_the_best_and_the_worst_rating_have_their_emotions(self) -> None:
        scale = self.make().scale
        hold("domain-scale", isinstance(scale, RatingScale), f"a {type(scale).__name__}.")
        emotion = Emotion(scale)
        for rating, valence, arousal in ((scale.high, 1.0, 1.0), (scale.low, -1.0, 0.0)):
            mood = (float(emotion.valence(rating)), float(emotion.arousal(rating)))
            hold("domain-scale", mood == (valence, arousal), f"a {rating:g} feels like {mood}.")

    def test_its_shares_of_real_ratings_sum_to_1(self) -> None:
        domain: Domain = self.make()
        shares = list(domain.real_ratings)
        if not shares:
            return
        hold("domain-real-ratings", len(shares) == len(domain.scale.levels), f"{len(shares)} shares.")
        whole = min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6
        hold("domain-real-ratings", whole, f"shares that sum to {sum(shares)}.")
        hold("domain-real-ratings", bool(domain.real_ratings_source), "no source.")

    def test_its_examples_have_words_and_a_rating_of_the_scale(self) -> None:
        domain: Domain = self.make()
        for place, example in enumerate(domain.examples):
            which = f"example {place + 1}"
            hold("domain-examples", isinstance(example, Example), f"{which} is a {type(example).__name__}.")
            for part in ("user", "item", "reason"):
                text = getattr(example, part)
                hold("domain-examples", isinstance(text, str) and bool(text.strip()), f"{which} has no {part}.")
            fits = isinstance(example.rating, (int, float)) and domain.scale.contains(example.rating)
            hold("domain-examples", fits, f"{which} has the rating {example.rating!r}.")

    def test_its_study_users_are_complete(self) -> None:
        written = self.make().study_users
        if written is None:
            return
        hold("domain-study-users", isinstance(written, StudyUsers), f"a {type(written).__name__}.")
        groups = {**written.lovers, "generous": written.generous, "strict": written.strict}
        for name, users in groups.items():
            hold("domain-study-users", bool(users), f"nobody for {name!r}.")
            for user in users:
                hold("domain-study-users", isinstance(user, User), f"a {type(user).__name__} for {name!r}.")
        for category, users in written.lovers.items():
            for user in users:
                hold("domain-study-users", category in user.liked, f"{user.id!r} does not like {category!r}.")
        ids = [user.id for users in groups.values() for user in users]
        hold("domain-study-users", len(set(ids)) == len(ids), "two of them have the same id.")

    def test_its_default_items_and_users_keep_to_their_contract(self) -> None:
        domain: Domain = self.make()
        for suite, default in (
            (ItemLoaderConformance, domain.default_items),
            (UserLoaderConformance, domain.default_users),
        ):
            with no_error("domain-defaults", f"the default {suite.kind} {default!r}"):
                registry().resolve(suite.kind, default, self.name).build()
            for outcome in run_suite(suite, component=default, domain=self.name):
                if outcome.error is not None:
                    raise outcome.error

    def test_its_environment_passes_the_checks_of_gymnasium(self) -> None:
        from gymnasium.utils.env_checker import check_env

        from emosim_core.simulation.env import EmoSimEnv

        with no_error("domain-environment", "check_env"), warnings.catch_warnings():
            warnings.simplefilter("error")
            env = EmoSimEnv(self.name, registry=registry(), max_steps=5, embeddings=embeddings_of(self.name))
            check_env(env, skip_render_check=True)

    def test_importing_its_package_registers_its_environment(self) -> None:
        package = self.described()[0].factory.partition(":")[0].partition(".")[0]
        done = in_new_process(_REGISTERED, package, self.name)
        last = "".join(done.stderr.strip().splitlines()[-1:])
        hold("domain-registered", done.returncode == 0, f"importing {package} ended with {last}.")
        detail = f"{package} registers nothing; call register_environment({self.name!r}) in it."
        hold("domain-registered", bool(done.stdout.strip()), detail)

    def test_the_same_seed_gives_the_same_episodes(self) -> None:
        one = self._run(num_envs=1)
        hold("domain-repeats", one == self._run(num_envs=1), "other episodes the second time.")
        hold("domain-repeats", one == self._run(num_envs=4), "other episodes side by side.")

    def _run(self, **options: Any) -> list[bytes]:
        """The lines of a run, sorted."""
        from emosim_core.runs.runner import Run
        from emosim_core.simulation.config import RunConfig

        with tempfile.TemporaryDirectory() as folder, no_error("domain-repeats", "a run"):
            options |= {"plugin": self.name, "embeddings": embeddings_of(self.name)}
            run = Run(RunConfig(**_RUN, **options), Path(folder) / "run", registry=registry())
            run.run()
            return sorted((Path(folder) / "run" / "interactions.jsonl").read_bytes().splitlines())
