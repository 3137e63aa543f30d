"""The contract between EmoSim and a plugin: every rule that can be checked, in words, and where it is written."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

DOCUMENTATION = "docs/hooks"
"""The folder of the project's documentation in which each rule stands, on the page of its hook."""


HELD: ContextVar[list[str]] = ContextVar("HELD")
"""Takes the rules that a check holds a component to, for a report."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        page: the page that it is written on, in :data:`DOCUMENTATION`.
    """

    page: str
    text: str


class BrokenRuleError(AssertionError):
    """A rule of the contract is broken; the message says which, where it is written, and what was found."""

    def __init__(self, rule: str, detail: str) -> None:
        self.rule = rule
        written = RULES[rule]
        super().__init__(
            f"The rule {rule!r} is broken: {written.text} Found: {detail} "
            f"(The rule is written in {DOCUMENTATION}/{written.page}.md.)"
        )


def hold(rule: str, condition: bool, detail: str) -> None:
    """Hold a component to a rule.

    Args:
        rule: the name of the rule, one of :data:`RULES`.

    Raises:
        BrokenRuleError: it is not kept.
    """
    __tracebackhide__ = True
    HELD.get([]).append(rule)
    if not condition:
        raise BrokenRuleError(rule, detail)


def require(condition: bool, otherwise: str) -> None:
    """Check what no rule of :data:`RULES` says."""
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(f"{otherwise}.")


def _rules(page: str, **texts: str) -> dict[str, Rule]:
    return {name.replace("_", "-"): Rule(page, text) for name, text in texts.items()}


RULES: dict[str, Rule] = {
    **_rules(
        "plugin",
        plugin_loads="A plugin can be imported, was built for a version of the hooks that this emosim-core has, and "
        "its hooks yield components.",
        plugin_light="Importing a plugin's module imports none of torch, transformers, sentence_transformers, pandas, "
        "stable_baselines3, matplotlib and scipy.",
        plugin_names="A name consists of letters, digits, '_' and '-', has a one-line summary, and no other "
        "plugin provides it.",
        plugin_options="An options model forbids unknown options and describes every field.",
        plugin_makes="A factory makes what its kind must be, from its options alone.",
        plugin_pickles="What a factory makes can be pickled and copied at any time, and goes on as the original would.",
        plugin_declares="The entry point of a plugin that brings a domain is in the group 'emosim.domains', under the "
        "name of the domain.",
    ),
    **_rules(
        "emosim_domains",
        domain_name="A domain is called as its component is, and has a title.",
        domain_words="A domain has a word for everything in Words, and for each trait a text for each of three levels.",
        domain_scale="The best rating of a domain's scale feels positive and highly aroused, the worst negative and "
        "lowly aroused.",
        domain_real_ratings="Shares of real users' ratings are empty, or one for each level of the scale that sum "
        "to 1, with their source.",
        domain_examples="A worked example for prompts has a user, an item and a reason in words, and a rating on the "
        "domain's scale; there may be none.",
        domain_study_users="A domain's users for studies, where there are any, are users with ids of their own: some "
        "for each loved category, which they like, some generous and some strict.",
        domain_defaults="A domain's default item and user loaders exist and load without options.",
        domain_environment="An environment of the domain passes Gymnasium's check_env without a warning.",
        domain_registered="Importing the package of a domain registers its environment with Gymnasium.",
        domain_repeats="The same seed gives the same episodes, one at a time or many side by side.",
    ),
    **_rules(
        "emosim_item_loaders",
        items_type="An item loader brings items of the domain's type, at least one, no id twice.",
        items_ratings="A public rating lies on the domain's scale, and is None where it is unknown.",
        items_embeddings="Embeddings are finite numbers, one row per item; a row that begins with NaN is an item "
        "without one.",
        items_again="Loading twice brings the same items.",
        items_missing="A file that is not there is a DataError that names it.",
    ),
    **_rules(
        "emosim_user_loaders",
        users_type="A user loader brings users, at least one, no id twice.",
        users_again="Loading twice brings the same users.",
        users_missing="A file that is not there is a DataError that names it.",
    ),
    **_rules(
        "emosim_raters",
        rater_shape="A rater answers one rating for each user and item.",
        rater_scale="A rating is a level of the scale, or NaN where the rater failed.",
        rater_reason="The reason of a rating is text.",
        rater_alone="A rating depends on its user, item and draws alone, not on who else is in the batch.",
        rater_repeats="The same request with the same draws gets the same rating.",
        rater_reads="A rater changes nothing of what it is given.",
        rater_prepares="A rater can be prepared anew for other items and users.",
        rater_activity="Activity moves how soon a user leaves, not how they rate: raising it at fixed content moves "
        "the mean rating by at most 0.5 of 10.",
    ),
    **_rules(
        "emosim_retrievals",
        retrieval_shape="A retrieval answers whole numbers of the shape (users, items, any number).",
        retrieval_range="A retrieved position lies within the user's history, or is -1.",
        retrieval_order="The positions for one item are distinct, and -1 stands only after them.",
        retrieval_alone="What is retrieved depends on the user's own history and item alone.",
        retrieval_repeats="The same history and item get the same answer.",
        retrieval_reads="A retrieval changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_selectors",
        selector_shape="A selector answers a boolean for each user and item.",
        selector_failed="A failed rating (NaN) is never consumed.",
        selector_alone="What is consumed depends on the user's own ratings and draws alone.",
        selector_repeats="The same ratings with the same draws get the same answer.",
        selector_reads="A selector changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_perturbators",
        perturbator_shape="A perturbator answers one number for each user and item.",
        perturbator_finite="A perturbed rating is a finite number where the rating is; a failed rating (NaN) is no "
        "error.",
        perturbator_alone="A perturbed rating depends on the rating and the user's own draws alone.",
        perturbator_repeats="The same ratings with the same draws get the same answer.",
        perturbator_reads="A perturbator changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_emotion_models",
        emotion_tags="An emotion model tags each rating with a code from 0 to 8; a rating of NaN, which was not "
        "consumed, is no error.",
        emotion_moods="A new mood has a valence from -1 to 1 and an arousal from 0 to 1.",
        emotion_alone="Tags and moods depend on the user's own rating, mood and draws alone.",
        emotion_repeats="The same ratings and moods with the same draws get the same answers.",
        emotion_reads="An emotion model changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_reward_shapings",
        shaping_shape="A reward shaping answers one reward for each user and item, and one code for each user.",
        shaping_finite="The reward of what was consumed is a finite number.",
        shaping_end_reasons="A code is 0, or the place, from 1, of a reason in 'end_reasons'; reasons are "
        "distinct texts and none is 'interrupted', 'max_steps' or 'out_of_items'.",
        shaping_alone="A reward and an end reason depend on the user's own episode and draws alone.",
        shaping_begins="begin() forgets what went before in a slot.",
        shaping_state="State is made in start(), so that copies of a shaping keep their own.",
        shaping_reads="A reward shaping changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_observations",
        observation_space="What is observed lies in the space of its part; there is at least one part.",
        observation_shape="Each part is an array of its space's dtype, with one row for each user.",
        observation_alone="What is observed of a user depends on that user alone.",
        observation_repeats="The same users are observed the same.",
        observation_reads="An observation model changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_policies",
        policy_shape="A policy answers whole numbers of the shape (users, slate).",
        policy_range="A recommended item is an index of the catalog; a row of -1 has nothing left to recommend.",
        policy_slate="A slate holds no item twice.",
        policy_repeats="The same observations with the same draws get the same answers.",
        policy_reads="A policy changes nothing of what it is given.",
    ),
    **_rules(
        "emosim_prompt_strategies",
        prompt_strategy_asks="A prompt strategy makes one ChatRequest of a user and an item, the same each time.",
        prompt_strategy_reads="Each of the choices that a request offers is read as a level of the domain's scale.",
        prompt_strategy_strict="An answer that is no rating in the requested form is an LLMMalformedError, "
        "never a rating.",
        prompt_strategy_again="A request that is put again says what was wrong with the answer.",
    ),
    **_rules(
        "emosim_studies",
        study_trials="A study makes at least one trial, each of one of its users and an item of the catalog; no two "
        "users have the same id.",
        study_memory="What a user is to remember is items of the catalog with ratings of the scale.",
        study_sides="The side of a trial is 'positive', 'negative' or empty.",
        study_bounds="A bound of success lies on the domain's scale, or is None.",
        study_repeats="The same setting and seed give the same trials.",
        study_reads="A study changes nothing of what it is given.",
        study_metrics="A measure has a row of sums for each rating, and makes a value from 0 to 1 of their total.",
        study_failed="A failed rating (NaN) adds nothing to a measure.",
    ),
    **_rules(
        "emosim_llm_backends",
        backend_made="A backend is made, and lists its models, without a network and without a key.",
        backend_identity="The identity of a backend is text that says which model of which service answers, and holds "
        "no key.",
        backend_answers="An answer is a ChatAnswer with a text, and its usage is not negative.",
        backend_order="The answers to a batch come in the order of its requests, one for each.",
        backend_again="A backend can be called again after it was closed.",
        backend_errors="Where there is no answer, an LLMError says why; nothing is made up.",
        backend_choices="The probabilities of choices, where there are any, are of the requested choices and sum to 1.",
        backend_key="Without its key, asking is an LLMAuthenticationError that names where the key is looked for; a "
        "key is in no message, identity or representation.",
    ),
}
"""All rules by name."""
