"""The built-in components, registered through the same hooks as everyone's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emosim_core.hooks.component import Component
from emosim_core.hooks.spec import HOOK_VERSION, hookimpl

EMOSIM_HOOK_VERSION = HOOK_VERSION

_HERE = "emosim_core.components"

LLM = Component(
    "llm",
    "A language model; short for it is --llm-model.",
    "emosim_core.llm.rater:llm_rater",
    options="emosim_core.llm.options:LLMRaterOptions",
    value="model",
).of_kind("rater")
"""The rater whose options a configuration also takes under names of their own, such as ``llm_model``."""


@hookimpl
def emosim_raters() -> Iterable[Component]:
    yield Component(
        "rule_based",
        "A statistical model of a person's taste; asks no language model.",
        f"{_HERE}.rule_based:RuleBased",
        options=f"{_HERE}.rule_based:RuleBasedOptions",
    )
    yield LLM


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    module = f"{_HERE}.retrieval"
    count = f"{module}:CountOptions"
    yield Component("none", "Retrieves nothing.", f"{module}:NoRetrieval")
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
        "The k items that are similar, recent and felt like the last one.",
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
        "One item or none, by a multinomial-logit choice.",
        f"{module}:MultinomialLogit",
        options=f"{module}:LogitOptions",
    )


@hookimpl
def emosim_perturbators() -> Iterable[Component]:
    module = f"{_HERE}.perturbation"
    yield Component("none", "Leaves ratings as they are.", f"{module}:NoPerturbation")
    yield Component("gaussian", "Adds normal noise.", f"{module}:Gaussian", options=f"{module}:GaussianOptions")
    yield Component(
        "greedy",
        "One step down or up with probability 0.1 each.",
        f"{module}:GreedyPerturbation",
        options=f"{module}:GreedyOptions",
    )


@hookimpl
def emosim_reward_shapings() -> Iterable[Component]:
    module = f"{_HERE}.shaping"
    repeat = f"{module}:RepeatOptions"
    yield Component("identity", "The reward is the rating.", f"{module}:Identity")
    yield Component(
        "exp_decay_time",
        "A repeat is worth less the sooner it comes.",
        f"{module}:ExpDecayTime",
        options=repeat,
    )
    yield Component("random_watch", "A repeat is consumed only sometimes.", f"{module}:RandomWatch", options=repeat)
    yield Component(
        "same_item_terminate",
        "A repeat gives nothing and ends the session.",
        f"{module}:SameItemTerminate",
        aliases=("same_film_terminate",),
    )
    yield Component(
        "churn_satisfaction",
        "The person leaves when recommendations keep disappointing.",
        f"{module}:ChurnSatisfaction",
        options=f"{module}:ChurnOptions",
    )


@hookimpl
def emosim_policies() -> Iterable[Component]:
    module = f"{_HERE}.policies"
    yield Component("random", "Items in random order.", f"{module}:RandomPolicy")
    yield Component("popular", "The items that most people rated.", f"{module}:Popular")
    yield Component("top_rated", "The items with the best public ratings.", f"{module}:TopRated")
    yield Component(
        "similar_to_liked",
        "Items similar to what the person rated high.",
        f"{module}:SimilarToLiked",
        options=f"{module}:SimilarOptions",
    )
    yield Component(
        "epsilon_greedy",
        "The items that were rated best so far, sometimes a random one.",
        f"{module}:EpsilonGreedy",
        options=f"{module}:EpsilonGreedyOptions",
    )
    yield Component(
        "trained",
        "What a training left behind.",
        "emosim_core.training.trained:Trained",
        options="emosim_core.training.trained:TrainedOptions",
        value="path",
    )
    yield Component(
        "replay",
        "The items of a CSV file, in order.",
        f"{module}:Replay",
        options=f"{module}:ReplayOptions",
        value="file",
    )
    neighbors, matrix_factorization = "emosim_core.training.neighbors", "emosim_core.training.matrix_factorization"
    bandits = "emosim_core.training.bandits"
    yield Component(
        "item_knn",
        "Items that logged people rated like those the person liked.",
        f"{neighbors}:ItemKNN",
        options=f"{neighbors}:ItemKNNOptions",
        value="logs",
    )
    yield Component(
        "user_knn",
        "Items that logged people who rate alike liked.",
        f"{neighbors}:UserKNN",
        options=f"{neighbors}:UserKNNOptions",
        value="logs",
    )
    yield Component(
        "matrix_factorization",
        "The items with the highest ratings foretold by factors learned from logs.",
        f"{matrix_factorization}:MatrixFactorization",
        options=f"{matrix_factorization}:FactorOptions",
        value="logs",
    )
    yield Component(
        "svdpp",
        "Matrix factorisation in which what was rated counts too.",
        f"{matrix_factorization}:SVDpp",
        options=f"{matrix_factorization}:ImplicitFactorOptions",
        value="logs",
    )
    yield Component(
        "linucb",
        "The items that a linear model hopes most of, learning from every rating.",
        f"{bandits}:LinUCB",
        options=f"{bandits}:LinUCBOptions",
        value="logs",
    )
    yield Component(
        "thompson",
        "The best items of a linear model drawn at random from what ratings allow.",
        f"{bandits}:Thompson",
        options=f"{bandits}:ThompsonOptions",
        value="logs",
    )


@hookimpl
def emosim_prompt_strategies() -> Iterable[Component]:
    """The names of SUBER and EmoSim-RL; each is a choice of parts, and further options can be set by name."""
    module = "emosim_core.llm.shot_strategy"
    for name, summary, parts in _prompts():
        preset = {"style": "rating", "system": "our", "invert": False, "scale": "auto", **parts}
        yield Component(name, summary, f"{module}:ShotPromptStrategy", options=f"{module}:ShotOptions", preset=preset)


@hookimpl
def emosim_studies() -> Iterable[Component]:
    module = "emosim_core.studies"
    for name, maker, summary in (
        ("category_preference", "CategoryPreference", "Whether who loves one category alone rates so."),
        ("high_rating", "HighRating", "Whether who gives everything top marks does so."),
        ("low_rating", "LowRating", "Whether who dislikes everything rates so."),
    ):
        yield Component(name, summary, f"{module}.written:{maker}", options=f"{module}.written:ItemsOptions")
    yield Component(
        "collections",
        "Whether the earlier parts of a series decide what is thought of the last.",
        f"{module}.series:Collections",
        options=f"{module}.series:CollectionsOptions",
    )
    yield Component(
        "sampling",
        "How far the ratings' distribution is from that of real people.",
        f"{module}.sampling:Sampling",
        options=f"{module}.sampling:SamplingOptions",
    )


def _prompts() -> Iterable[tuple[str, str, dict[str, Any]]]:
    examples = ("No example", "One worked example", "Two worked examples")
    yield (
        "0Shot_cotlite_our",
        "No example; the model thinks briefly and answers with the rating alone.",
        {"shots": 0, "style": "cotlite"},
    )
    for shots, told in enumerate(examples):
        yield f"{shots}Shot_system_our", f"{told}; a system prompt sets the role.", {"shots": shots}
        yield (
            f"{shots}Shot_system_default",
            f"{told}; the model's usual system prompt.",
            {"shots": shots, "system": "default"},
        )
        for scale, suffix in (("1-10", "1_10"), ("one-ten", "one_ten")):
            yield (
                f"{shots}Shot_system_our_{suffix}",
                f"{told}; a system prompt sets the role; ratings from {scale.replace('-', ' to ')}.",
                {"shots": shots, "scale": scale},
            )
        yield (
            f"{shots}Shot_cot_enhanced",
            f"{told}; the model gives one to three short reasons, then the rating.",
            {"shots": shots, "style": "cot_enhanced"},
        )
    for shots, told in enumerate(examples[1:], start=1):
        how = "the other one" if shots == 1 else "in the other order"
        for system, role in (("our", "a system prompt sets the role"), ("default", "the model's usual system prompt")):
            yield (
                f"{shots}Shot_invert_system_{system}",
                f"{told}, {how}; {role}.",
                {"shots": shots, "system": system, "invert": True},
            )
