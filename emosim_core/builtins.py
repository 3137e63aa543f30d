"""The built-in components, registered through the same hooks as everyone's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emosim_core.hooks.component import Component
from emosim_core.hooks.spec import HOOK_VERSION, hookimpl

EMOSIM_HOOK_VERSION = HOOK_VERSION

_HERE = "emosim_core.components"


@hookimpl
def emosim_raters() -> Iterable[Component]:
    yield Component(
        "rule_based",
        "Statistical model of a user's ratings; no language model.",
        f"{_HERE}.rule_based:RuleBased",
        options=f"{_HERE}.rule_based:RuleBasedOptions",
    )
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
    module = f"{_HERE}.retrieval"
    count = f"{module}:CountOptions"
    yield Component("none", "No memories.", f"{module}:NoRetrieval")
    yield Component("last", "The k most recent items.", f"{module}:Last", options=count, number="k")
    yield Component(
        "most_similar",
        "The k items most similar by embedding.",
        f"{module}:MostSimilar",
        options=count,
        number="k",
    )
    yield Component("best_worst", "The item rated highest and the one rated lowest.", f"{module}:BestWorst")
    yield Component(
        "decay_emotion",
        "The k items most similar, recent and emotionally congruent with the last.",
        f"{module}:DecayEmotion",
        options=f"{module}:DecayEmotionOptions",
        number="k",
    )


@hookimpl
def emosim_selectors() -> Iterable[Component]:
    module = f"{_HERE}.selection"
    yield Component("greedy", "The best-rated item of the slate.", f"{module}:Greedy")
    yield Component("random", "Each item with probability 0.5.", f"{module}:RandomChoice")
    yield Component(
        "probabilistic",
        "The best-rated item with probability p, else nothing.",
        f"{module}:Probabilistic",
        options=f"{module}:ProbabilisticOptions",
    )
    yield Component(
        "multinomial_logit",
        "One item or none, by a multinomial logit model.",
        f"{module}:MultinomialLogit",
        options=f"{module}:LogitOptions",
    )


@hookimpl
def emosim_perturbators() -> Iterable[Component]:
    module = f"{_HERE}.perturbation"
    yield Component("none", "No noise.", f"{module}:NoPerturbation")
    yield Component("gaussian", "Adds Gaussian noise.", f"{module}:Gaussian", options=f"{module}:GaussianOptions")
    yield Component(
        "greedy",
        "One step down or up with probability 0.1 each.",
        f"{module}:GreedyPerturbation",
        options=f"{module}:GreedyOptions",
    )


@hookimpl
def emosim_emotion_models() -> Iterable[Component]:
    module = f"{_HERE}.emotion_models"
    summary = "Tags by rating thresholds; a mood that decays. Its options are those of emotion and mood."
    yield Component("valence_arousal", summary, f"{module}:ValenceArousal")


@hookimpl
def emosim_observations() -> Iterable[Component]:
    module = f"{_HERE}.observations"
    for name, summary, preset in (
        ("full", "User, traits, mood, step and recent history.", {}),
        ("behavior", "User, step and recent history, as a real service sees.", {"traits": False, "mood": False}),
    ):
        yield Component(name, summary, f"{module}:Parts", options=f"{module}:PartsOptions", preset=preset)


@hookimpl
def emosim_reward_shapings() -> Iterable[Component]:
    module = f"{_HERE}.shaping"
    repeat = f"{module}:RepeatOptions"
    yield Component("identity", "The reward is the rating.", f"{module}:Identity")
    yield Component(
        "exp_decay_time",
        "Repeats are discounted by their recency.",
        f"{module}:ExpDecayTime",
        options=repeat,
    )
    yield Component(
        "random_watch",
        "A repeat is consumed with a probability that grows with time.",
        f"{module}:RandomWatch",
        options=repeat,
    )
    yield Component(
        "same_item_terminate",
        "A repeat has reward 0 and ends the episode.",
        f"{module}:SameItemTerminate",
        aliases=("same_film_terminate",),
    )
    yield Component(
        "churn_satisfaction",
        "The user leaves after repeated disappointments.",
        f"{module}:ChurnSatisfaction",
        options=f"{module}:ChurnOptions",
    )


@hookimpl
def emosim_policies() -> Iterable[Component]:
    module = "emosim_core.recommenders.heuristics"
    yield Component("random", "Uniformly random items, without repeats.", f"{module}:RandomPolicy")
    yield Component("popular", "The items with the most public ratings.", f"{module}:Popular")
    yield Component("top_rated", "The items with the highest public ratings.", f"{module}:TopRated")
    yield Component(
        "similar_to_liked",
        "The items nearest to those that the user rated high.",
        f"{module}:SimilarToLiked",
        options=f"{module}:SimilarOptions",
    )
    yield Component(
        "epsilon_greedy",
        "Epsilon-greedy bandit on the mean ratings so far.",
        f"{module}:EpsilonGreedy",
        options=f"{module}:EpsilonGreedyOptions",
    )
    yield Component(
        "trained",
        "A recommender trained by emosim train.",
        "emosim_core.recommenders.trained:Trained",
        options="emosim_core.recommenders.trained:TrainedOptions",
        value="path",
    )
    yield Component(
        "replay",
        "The items of a CSV file, in order.",
        f"{module}:Replay",
        options=f"{module}:ReplayOptions",
        value="file",
    )
    neighbors, matrix_factorization = (
        "emosim_core.recommenders.neighbors",
        "emosim_core.recommenders.matrix_factorization",
    )
    bandits = "emosim_core.recommenders.bandits"
    yield Component(
        "item_knn",
        "Item-based k-nearest neighbours on logged ratings.",
        f"{neighbors}:ItemKNN",
        options=f"{neighbors}:ItemKNNOptions",
        value="logs",
    )
    yield Component(
        "user_knn",
        "User-based k-nearest neighbours on logged ratings.",
        f"{neighbors}:UserKNN",
        options=f"{neighbors}:UserKNNOptions",
        value="logs",
    )
    yield Component(
        "matrix_factorization",
        "Biased matrix factorization (SVD) on logged ratings.",
        f"{matrix_factorization}:MatrixFactorization",
        options=f"{matrix_factorization}:FactorOptions",
        value="logs",
    )
    yield Component(
        "svdpp",
        "SVD++: matrix factorization with implicit feedback from what was rated.",
        f"{matrix_factorization}:SVDpp",
        options=f"{matrix_factorization}:ImplicitFactorOptions",
        value="logs",
    )
    yield Component(
        "linucb",
        "LinUCB contextual bandit over item and user features.",
        f"{bandits}:LinUCB",
        options=f"{bandits}:LinUCBOptions",
        value="logs",
    )
    yield Component(
        "thompson",
        "Linear Thompson sampling over item and user features.",
        f"{bandits}:Thompson",
        options=f"{bandits}:ThompsonOptions",
        value="logs",
    )


@hookimpl
def emosim_prompt_strategies() -> Iterable[Component]:
    """The names of SUBER and EmoSim-RL; each is a choice of parts, and further options can be set by name."""
    module = "emosim_core.llm.prompts.shot_strategy"
    for name, summary, parts in _prompts():
        preset = {"style": "rating", "system": "our", "invert": False, "scale": "auto", **parts}
        yield Component(name, summary, f"{module}:ShotPromptStrategy", options=f"{module}:ShotOptions", preset=preset)


@hookimpl
def emosim_studies() -> Iterable[Component]:
    module = "emosim_core.studies.ablation"
    for name, maker, summary in (
        ("category_preference", "CategoryPreference", "Users who love one category rate it high and all else low."),
        ("high_rating", "HighRating", "Users who like everything rate high."),
        ("low_rating", "LowRating", "Users who dislike everything rate low."),
    ):
        yield Component(name, summary, f"{module}.written:{maker}", options=f"{module}.written:ItemsOptions")
    yield Component(
        "collections",
        "Ratings of the earlier parts of a series carry over to the last.",
        f"{module}.series:Collections",
        options=f"{module}.series:CollectionsOptions",
    )
    yield Component(
        "sampling",
        "Distance of the rating distribution from that of real users.",
        f"{module}.sampling:Sampling",
        options=f"{module}.sampling:SamplingOptions",
    )


def _prompts() -> Iterable[tuple[str, str, dict[str, Any]]]:
    examples = ("No example", "One worked example", "Two worked examples")
    yield (
        "0Shot_cotlite_our",
        "No example; brief reasoning, then the rating alone.",
        {"shots": 0, "style": "cotlite"},
    )
    for shots, example in enumerate(examples):
        yield f"{shots}Shot_system_our", f"{example}; a system prompt sets the role.", {"shots": shots}
        yield (
            f"{shots}Shot_system_default",
            f"{example}; the model's usual system prompt.",
            {"shots": shots, "system": "default"},
        )
        for scale, suffix in (("1-10", "1_10"), ("one-ten", "one_ten")):
            yield (
                f"{shots}Shot_system_our_{suffix}",
                f"{example}; a system prompt sets the role; ratings from {scale.replace('-', ' to ')}.",
                {"shots": shots, "scale": scale},
            )
        yield (
            f"{shots}Shot_cot_enhanced",
            f"{example}; one to three short reasons, then the rating.",
            {"shots": shots, "style": "cot_enhanced"},
        )
    for shots, example in enumerate(examples[1:], start=1):
        how = "the other one" if shots == 1 else "in the other order"
        for system, role in (("our", "a system prompt sets the role"), ("default", "the model's usual system prompt")):
            yield (
                f"{shots}Shot_invert_system_{system}",
                f"{example}, {how}; {role}.",
                {"shots": shots, "system": system, "invert": True},
            )
