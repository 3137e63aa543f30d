"""The built-in components, registered through the same hooks as everyone's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from emosim_core.hooks.component import Component
from emosim_core.hooks.spec import HOOK_VERSION, hookimpl

EMOSIM_HOOK_VERSION = HOOK_VERSION

_HERE = "emosim_core.components"
_RECOMMENDERS = "emosim_core.recommenders"


def _component(module: str, name: str, summary: str, factory: str, options: str = "", **more: Any) -> Component:
    """A component whose factory and options stand in one module."""
    return Component(name, summary, f"{module}:{factory}", options=f"{module}:{options}" if options else None, **more)


@hookimpl
def emosim_raters() -> Iterable[Component]:
    summary = "Statistical model of a user's ratings; no language model."
    yield _component(f"{_HERE}.rule_based", "rule_based", summary, "RuleBased", "RuleBasedOptions")
    # A configuration takes the options of this one under names of their own, too, such as ``llm_model``.
    yield Component(
        "llm",
        "A language model; short for it is --llm-model.",
        "emosim_core.llm.rater:llm_rater",
        options="emosim_core.llm.options:LLMRaterOptions",
        value="model",
    )


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    one = partial(_component, f"{_HERE}.retrieval")
    similar = "The k items most similar, recent and emotionally congruent with the last."
    yield one("none", "No memories.", "NoRetrieval")
    yield one("last", "The k most recent items.", "Last", "CountOptions", number="k")
    yield one("most_similar", "The k items most similar by embedding.", "MostSimilar", "CountOptions", number="k")
    yield one("best_worst", "The item rated highest and the one rated lowest.", "BestWorst")
    yield one("decay_emotion", similar, "DecayEmotion", "DecayEmotionOptions", number="k")


@hookimpl
def emosim_selectors() -> Iterable[Component]:
    one = partial(_component, f"{_HERE}.selection")
    best = "The best-rated item with probability p, else nothing."
    logit = "One item or none, by a multinomial logit model."
    yield one("greedy", "The best-rated item of the slate.", "Greedy")
    yield one("random", "Each item with probability 0.5.", "RandomChoice")
    yield one("probabilistic", best, "Probabilistic", "ProbabilisticOptions")
    yield one("multinomial_logit", logit, "MultinomialLogit", "LogitOptions")


@hookimpl
def emosim_perturbators() -> Iterable[Component]:
    one = partial(_component, f"{_HERE}.perturbation")
    yield one("none", "No noise.", "NoPerturbation")
    yield one("gaussian", "Adds Gaussian noise.", "Gaussian", "GaussianOptions")
    yield one("greedy", "One step down or up with probability 0.1 each.", "GreedyPerturbation", "GreedyOptions")


@hookimpl
def emosim_emotion_models() -> Iterable[Component]:
    summary = "Tags by rating thresholds; a mood that decays. Its options are those of emotion and mood."
    yield _component(f"{_HERE}.emotion_models", "valence_arousal", summary, "ValenceArousal")


@hookimpl
def emosim_observations() -> Iterable[Component]:
    one = partial(_component, f"{_HERE}.observations", factory="Parts", options="PartsOptions")
    behavior = "User, step and recent history, as a real service sees."
    yield one("full", "User, traits, mood, step and recent history.")
    yield one("behavior", behavior, preset={"traits": False, "mood": False})


@hookimpl
def emosim_reward_shapings() -> Iterable[Component]:
    one = partial(_component, f"{_HERE}.shaping")
    watch = "A repeat is consumed with a probability that grows with time."
    again = "A repeat has reward 0 and ends the episode."
    churn = "The user leaves after repeated disappointments."
    yield one("identity", "The reward is the rating.", "Identity")
    yield one("exp_decay_time", "Repeats are discounted by their recency.", "ExpDecayTime", "RepeatOptions")
    yield one("random_watch", watch, "RandomWatch", "RepeatOptions")
    yield one("same_item_terminate", again, "SameItemTerminate", aliases=("same_film_terminate",))
    yield one("churn_satisfaction", churn, "ChurnSatisfaction", "ChurnOptions")


@hookimpl
def emosim_policies() -> Iterable[Component]:
    one = partial(_component, f"{_RECOMMENDERS}.heuristics")
    similar = "The items nearest to those that the user rated high."
    epsilon = "Epsilon-greedy bandit on the mean ratings so far."
    trained = "A recommender trained by emosim train."
    yield one("random", "Uniformly random items, without repeats.", "RandomPolicy")
    yield one("popular", "The items with the most public ratings.", "Popular")
    yield one("top_rated", "The items with the highest public ratings.", "TopRated")
    yield one("similar_to_liked", similar, "SimilarToLiked", "SimilarOptions")
    yield one("epsilon_greedy", epsilon, "EpsilonGreedy", "EpsilonGreedyOptions")
    yield _component(f"{_RECOMMENDERS}.trained", "trained", trained, "Trained", "TrainedOptions", value="path")
    yield one("replay", "The items of a CSV file, in order.", "Replay", "ReplayOptions", value="file")
    neighbors, factors, bandits = (
        partial(_component, f"{_RECOMMENDERS}.{module}", value="logs")
        for module in ("neighbors", "matrix_factorization", "bandits")
    )
    biased = "Biased matrix factorization (SVD) on logged ratings."
    implicit = "SVD++: matrix factorization with implicit feedback from what was rated."
    linear = "LinUCB contextual bandit over item and user features."
    sampling = "Linear Thompson sampling over item and user features."
    yield neighbors("item_knn", "Item-based k-nearest neighbours on logged ratings.", "ItemKNN", "ItemKNNOptions")
    yield neighbors("user_knn", "User-based k-nearest neighbours on logged ratings.", "UserKNN", "UserKNNOptions")
    yield factors("matrix_factorization", biased, "MatrixFactorization", "FactorOptions")
    yield factors("svdpp", implicit, "SVDpp", "ImplicitFactorOptions")
    yield bandits("linucb", linear, "LinUCB", "LinUCBOptions")
    yield bandits("thompson", sampling, "Thompson", "ThompsonOptions")


@hookimpl
def emosim_prompt_strategies() -> Iterable[Component]:
    """The names of SUBER and EmoSim-RL; each is a choice of parts, and further options can be set by name."""
    one = partial(_component, "emosim_core.llm.prompts.shot_strategy", factory="ShotPromptStrategy")
    for name, summary, parts in _prompts():
        preset = {"style": "rating", "system": "our", "invert": False, "scale": "auto", **parts}
        yield one(name, summary, options="ShotOptions", preset=preset)


@hookimpl
def emosim_studies() -> Iterable[Component]:
    module = "emosim_core.studies.ablation"
    loves = "Users who love one category rate it high and all else low."
    series = "Ratings of the earlier parts of a series carry over to the last."
    distance = "Distance of the rating distribution from that of real users."
    one = partial(_component, f"{module}.written", options="ItemsOptions")
    yield one("category_preference", loves, "CategoryPreference")
    yield one("high_rating", "Users who like everything rate high.", "HighRating")
    yield one("low_rating", "Users who dislike everything rate low.", "LowRating")
    yield _component(f"{module}.series", "collections", series, "Collections", "CollectionsOptions")
    yield _component(f"{module}.sampling", "sampling", distance, "Sampling", "SamplingOptions")


def _prompts() -> Iterable[tuple[str, str, dict[str, Any]]]:
    """The name, the summary and the parts of each prompt strategy."""
    examples = ("No example", "One worked example", "Two worked examples")
    roles = {"our": "a system prompt sets the role", "default": "the model's usual system prompt"}
    yield "0Shot_cotlite_our", "No example; brief reasoning, then the rating alone.", {"shots": 0, "style": "cotlite"}
    for shots, example in enumerate(examples):
        reasons = f"{example}; one to three short reasons, then the rating."
        yield f"{shots}Shot_system_our", f"{example}; {roles['our']}.", {"shots": shots}
        yield f"{shots}Shot_system_default", f"{example}; {roles['default']}.", {"shots": shots, "system": "default"}
        for scale, suffix in (("1-10", "1_10"), ("one-ten", "one_ten")):
            summary = f"{example}; {roles['our']}; ratings from {scale.replace('-', ' to ')}."
            yield f"{shots}Shot_system_our_{suffix}", summary, {"shots": shots, "scale": scale}
        yield f"{shots}Shot_cot_enhanced", reasons, {"shots": shots, "style": "cot_enhanced"}
    for shots, order in ((1, "the other one"), (2, "in the other order")):
        for system, role in roles.items():
            parts = {"shots": shots, "system": system, "invert": True}
            yield f"{shots}Shot_invert_system_{system}", f"{examples[shots]}, {order}; {role}.", parts
