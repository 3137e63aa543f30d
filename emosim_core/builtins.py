"""The built-in components, registered through the same hooks as everyone's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from emosim_core.hooks.component import Component, in_module
from emosim_core.hooks.spec import HOOK_VERSION, hookimpl

EMOSIM_HOOK_VERSION = HOOK_VERSION

_COMPONENTS = "emosim_core.components"
_RECOMMENDERS = "emosim_core.recommenders"


@hookimpl
def emosim_raters() -> Iterable[Component]:
    summary = "Statistical model of a user's ratings; no language model."
    yield in_module(f"{_COMPONENTS}.rule_based", "rule_based", summary, "RuleBased", "RuleBasedOptions")
    summary = "Ratings learned from a log by emosim fit; the default of users fitted:PATH."
    yield in_module(f"{_COMPONENTS}.fitted", "fitted", summary, "Fitted", "FittedOptions", value="path")
    # A configuration takes the options of this one under names of their own, too, such as ``llm_model``.
    yield Component(
        "llm",
        "A language model; short for it is --llm-model.",
        "emosim_core.llm.rater:llm_rater",
        options="emosim_core.llm.options:LLMRaterOptions",
        value="model",
    )
    summary = "Several raters, each for a share of the users: mix:llm=0.1,fitted=0.9."
    yield in_module(f"{_COMPONENTS}.mixture", "mix", summary, "mixture", "MixOptions", value="raters")


@hookimpl
def emosim_user_loaders() -> Iterable[Component]:
    summary, own = "Users learned from a log by emosim fit; count=N draws new ones.", f"{_COMPONENTS}.fitted_users"
    yield in_module(own, "fitted", summary, "FittedUsers", "FittedUsersOptions", value="path")


@hookimpl
def emosim_retrievals() -> Iterable[Component]:
    one = partial(in_module, f"{_COMPONENTS}.retrieval")
    yield one("none", "No memories.", "NoRetrieval")
    yield one("last", "The k most recent items.", "Last", "CountOptions", number="k")
    yield one("most_similar", "The k items most similar by embedding.", "MostSimilar", "CountOptions", number="k")
    yield one("best_worst", "The item rated highest and the one rated lowest.", "BestWorst")
    summary = "The k items most similar, recent and emotionally congruent with the last."
    yield one("decay_emotion", summary, "DecayEmotion", "DecayEmotionOptions", number="k")


@hookimpl
def emosim_choices() -> Iterable[Component]:
    one = partial(in_module, f"{_COMPONENTS}.choice")
    yield one("ratings_first", "The whole slate is rated, and the selector chooses by the ratings.", "RatingsFirst")
    summary = "Places are examined less the further down; each examined item is clicked on its own."
    yield one("position_based", summary, "PositionBased", "PositionOptions")
    summary = "Down the slate to the first item that the user wants."
    yield one("cascade", summary, "Cascade", "CascadeOptions")
    summary = "One item or none, by a multinomial logit over interest."
    yield one("multinomial_logit", summary, "InterestLogit", "ChoiceLogitOptions")
    yield one(
        "fitted",
        "multinomial_logit, over log odds that emosim fit learned.",
        "FittedLogit",
        "ChoiceLogitOptions",
    )
    yield Component(
        "llm",
        "The language model that rates chooses, by one question for the whole slate.",
        "emosim_core.llm.choice:ModelChoice",
        options="emosim_core.llm.prompts.choice_prompt:ModelChoiceOptions",
    )


@hookimpl
def emosim_selectors() -> Iterable[Component]:
    one = partial(in_module, f"{_COMPONENTS}.selection")
    yield one("greedy", "The best-rated item of the slate; the first of ties.", "Greedy")
    yield one("random", "Each item with probability 0.5.", "RandomChoice")
    summary = "The best-rated item with probability p, else nothing."
    yield one("probabilistic", summary, "Probabilistic", "ProbabilisticOptions")
    yield one(
        "multinomial_logit", "One item or none, by a multinomial logit model.", "MultinomialLogit", "LogitOptions"
    )


@hookimpl
def emosim_perturbators() -> Iterable[Component]:
    one = partial(in_module, f"{_COMPONENTS}.perturbation")
    yield one("none", "No noise.", "NoPerturbation")
    yield one("gaussian", "Adds Gaussian noise.", "Gaussian", "GaussianOptions")
    yield one("greedy", "One step down or up with probability 0.1 each.", "GreedyPerturbation", "GreedyOptions")


@hookimpl
def emosim_emotion_models() -> Iterable[Component]:
    summary = "Tags by rating thresholds; a mood that decays. Its options are those of emotion and mood."
    yield in_module(f"{_COMPONENTS}.emotion_models", "valence_arousal", summary, "ValenceArousal")


@hookimpl
def emosim_observations() -> Iterable[Component]:
    one = partial(in_module, f"{_COMPONENTS}.observations", factory="Parts", options="PartsOptions")
    yield one("full", "User, traits, mood, step and recent history.")
    summary = "User, step and recent history, as a real service sees."
    yield one("behavior", summary, preset={"traits": False, "mood": False})


@hookimpl
def emosim_reward_shapings() -> Iterable[Component]:
    one = partial(in_module, f"{_COMPONENTS}.shaping")
    yield one("identity", "The reward is the rating.", "Identity")
    yield one("exp_decay_time", "Repeats are discounted by their recency.", "ExpDecayTime", "RepeatOptions")
    summary = "A repeat is consumed with a probability that grows with time."
    yield one("random_watch", summary, "RandomWatch", "RepeatOptions")
    summary = "A repeat has reward 0 and ends the episode."
    yield one("same_item_terminate", summary, "SameItemTerminate", aliases=("same_film_terminate",))
    summary = "The user leaves after repeated disappointments."
    yield one("churn_satisfaction", summary, "ChurnSatisfaction", "ChurnOptions")


@hookimpl
def emosim_policies() -> Iterable[Component]:
    one = partial(in_module, f"{_RECOMMENDERS}.heuristics")
    yield one("random", "Uniformly random items, without repeats.", "RandomPolicy")
    yield one("popular", "The items with the most public ratings.", "Popular")
    yield one("top_rated", "The items with the highest public ratings.", "TopRated")
    summary = "The items nearest to those that the user rated high."
    yield one("similar_to_liked", summary, "SimilarToLiked", "SimilarOptions")
    summary = "Epsilon-greedy bandit on the mean ratings so far."
    yield one("epsilon_greedy", summary, "EpsilonGreedy", "EpsilonGreedyOptions")
    summary = "The items with the user's highest expected ratings: what there is to gain, no recommender."
    yield in_module("emosim_core.simulation.oracle", "oracle", summary, "Oracle", "OracleOptions")
    summary = "A recommender trained by emosim train."
    yield in_module(f"{_RECOMMENDERS}.trained", "trained", summary, "Trained", "TrainedOptions", value="path")
    yield one("replay", "The items of a CSV file or of a list, in order.", "Replay", "ReplayOptions", value="file")
    summary, own = "A function or class of your own, such as FILE.py:NAME.", f"{_RECOMMENDERS}.python_policy"
    yield in_module(own, "python", summary, "python_policy", "PythonOptions", value="target")
    summary, behind = "A recommender behind HTTP: http://HOST:PORT.", f"{_RECOMMENDERS}.http_policy"
    addresses = ("http://", "https://")
    yield in_module(behind, "http_service", summary, "http_policy", "HttpOptions", value="url", prefixes=addresses)
    for name, factory, options, examples in (
        ("implicit", "ImplicitPolicy", "LibraryOptions", "als, bpr, bm25"),
        ("cornac", "CornacPolicy", "KnownUsersOptions", "BPR, MF, EASE"),
        ("lenskit", "LensKitPolicy", "KnownUsersOptions", "ImplicitMF, ItemKNN"),
    ):
        yield Component(
            name,
            f"A model of the library {name} on logs, such as {examples}.",
            f"{_RECOMMENDERS}.{name}_policy:{factory}",
            options=f"{_RECOMMENDERS}.libraries:{options}",
            value="algorithm",
        )
    for module, name, factory, options, summary in (
        ("neighbors", "item_knn", "ItemKNN", "ItemKNNOptions", "Item-based k-nearest neighbours on logged ratings."),
        ("neighbors", "user_knn", "UserKNN", "UserKNNOptions", "User-based k-nearest neighbours on logged ratings."),
        (
            *("matrix_factorization", "matrix_factorization", "MatrixFactorization", "FactorOptions"),
            "Biased matrix factorization (SVD) on logged ratings.",
        ),
        (
            *("matrix_factorization", "svdpp", "SVDpp", "ImplicitFactorOptions"),
            "SVD++: matrix factorization with implicit feedback from what was rated.",
        ),
        ("bandits", "linucb", "LinUCB", "LinUCBOptions", "LinUCB contextual bandit over item and user features."),
        ("bandits", "thompson", "Thompson", "ThompsonOptions", "Linear Thompson sampling over item and user features."),
    ):
        yield in_module(f"{_RECOMMENDERS}.{module}", name, summary, factory, options, value="logs")


@hookimpl
def emosim_llm_backends() -> Iterable[Component]:
    summary = "The model of a pack, of which only answers are left; emosim replay names it."
    yield in_module("emosim_core.llm.packed", "packed", summary, "PackedModel", "PackedOptions", hidden=True)


@hookimpl
def emosim_prompt_strategies() -> Iterable[Component]:
    """The names of SUBER and EmoSim-RL; each is a choice of parts, and further options can be set by name."""
    one = partial(in_module, "emosim_core.llm.prompts.shot_strategy")
    for name, summary, parts in _prompts():
        preset = {"style": "rating", "system": "our", "invert": False, "scale": "auto", **parts}
        yield one(name, summary, "ShotPromptStrategy", "ShotOptions", preset=preset)


@hookimpl
def emosim_executors() -> Iterable[Component]:
    yield in_module("emosim_core.runs.cells", "local", "In this process, one cell after the other.", "Local")
    yield in_module(
        *("emosim_core.runs.processes", "processes", "In several processes of this machine."),
        *("Processes", "ProcessesOptions"),
        value="workers",
    )


@hookimpl
def emosim_studies() -> Iterable[Component]:
    one = partial(in_module, "emosim_core.studies.ablation.studies")
    summary = "Users who love one category rate it high and all else low."
    yield one("category_preference", summary, "CategoryPreference", "PreferenceOptions")
    yield one("high_rating", "Users who like everything rate high.", "HighRating", "ItemsOptions")
    yield one("low_rating", "Users who dislike everything rate low.", "LowRating", "ItemsOptions")
    summary = "Ratings of the earlier parts of a series carry over to the last."
    yield one("collections", summary, "Collections", "CollectionsOptions")
    summary = "Distance of the rating distribution from that of real users."
    yield one("sampling", summary, "Sampling", "SamplingOptions")


def _prompts() -> Iterable[tuple[str, str, dict[str, Any]]]:
    examples = ("No example", "One worked example", "Two worked examples")
    yield "0Shot_cotlite_our", "No example; brief reasoning, then the rating alone.", {"shots": 0, "style": "cotlite"}
    roles = {"our": "a system prompt sets the role", "default": "the model's usual system prompt"}
    for shots, example in enumerate(examples):
        for system, role in roles.items():
            yield f"{shots}Shot_system_{system}", f"{example}; {role}.", {"shots": shots, "system": system}
        for scale, suffix in (("1-10", "1_10"), ("one-ten", "one_ten")):
            summary = f"{example}; {roles['our']}; ratings from {scale.replace('-', ' to ')}."
            yield f"{shots}Shot_system_our_{suffix}", summary, {"shots": shots, "scale": scale}
        summary = f"{example}; one to three short reasons, then the rating."
        yield f"{shots}Shot_cot_enhanced", summary, {"shots": shots, "style": "cot_enhanced"}
    for shots, example in enumerate(examples[1:], start=1):
        how = "the last of the order" if shots == 1 else "from the end of the order"
        for system, role in roles.items():
            parts = {"shots": shots, "system": system, "invert": True}
            yield f"{shots}Shot_invert_system_{system}", f"{example}, {how}; {role}.", parts
