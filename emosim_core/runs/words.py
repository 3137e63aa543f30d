"""Words for end reasons, raters, usage, summaries of runs, users and numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from emosim_core.model.emotion import describe_mood
from emosim_core.model.user import TRAITS, User
from emosim_core.terminal import counted, one_line

_ENOUGH_RATINGS = 20
"""Ratings from which equal ones are no chance."""

_NEARLY_ALL = 0.95
"""Share of equal ratings from which ratings count as nearly constant."""

_NO_SPREAD = 0.05
"""Standard deviation of the means of probabilities, as a share of the scale, below which they count as constant."""

_SURE = 3.5
"""Standard errors above an even share from which a place counts as preferred."""

EXPECTED = ("expected_sum", "expected_squares")
"""Counts of a rater: the sum over ratings of the mean of their probabilities, and of its square."""

_CHOSEN = re.compile(r"chosen_(\d+)_of_(\d+)")
"""Counts of a choice model: choices of each place of its list, from 1, by the length of the list."""
_PLACES = 12
"""Places of a slate whose clicks are printed."""

END_REASONS = {
    "max_steps": "stayed to the end",
    "low_streak": "rated low and left",
    "dissatisfied": "left dissatisfied",
    "interrupted": "was interrupted",
    "repeat": "left at a repeat",
    "out_of_items": "ran out of items",
    "abandoned": "clicked no more",
    "shaped": "ended by shaping",
}
"""End reasons of episodes in words, 18 characters at most; one that a plugin defines is shown as it is named."""


def who_answers(answered_by: str) -> str:
    """Who rates, as a sentence; ``answered_by`` is that of a manifest or a summary."""
    return f"Rater: {answered_by}."


def with_article(noun: str) -> str:
    """A noun with its indefinite article."""
    return f"{'an' if noun.startswith(tuple('aeiou')) else 'a'} {noun}"


def users_of(user_split: str) -> str:
    """Which users a user split has: ``test users``, or ``users`` where they are not split."""
    return "users" if user_split == "all" else f"{user_split} users"


def best_recommender(measured: Mapping[str, Any], user_split: str) -> str:
    """Which recommender of an evaluation earns the most reward, and whether that is shown.

    Args:
        measured: what ``user_splits`` of evaluation.json holds of one user split.

    Returns:
        A sentence or two. The recommender is only named as the best where the 95 % interval of its difference from the
        second, in the same episodes, leaves out 0. The oracle, which knows the truth, is named after them.
    """
    oracle = measured.get("regret", {}).get("oracle")
    of_oracle = ""
    if oracle is not None and (reward := measured["recommenders"][oracle]["metrics"]["mean_reward"]["estimate"]):
        of_oracle = f" The oracle, which knows each user's expected ratings, earns {reward:.1f}."
    return _best(measured, user_split, oracle) + of_oracle


def _best(measured: Mapping[str, Any], user_split: str, oracle: str | None) -> str:
    rewards = {name: one["metrics"]["mean_reward"]["estimate"] for name, one in measured["recommenders"].items()}
    order = sorted(
        (name for name in rewards if rewards[name] is not None and name != oracle), key=lambda name: -rewards[name]
    )
    if not order:
        return f"No reward was measured with {users_of(user_split)}."
    best, *others = order
    if not others:
        return f"{best!r} earns {rewards[best]:.1f} per episode from {users_of(user_split)}."
    second = others[0]
    both = f"{best!r} ({rewards[best]:.1f} per episode) and {second!r} ({rewards[second]:.1f})"
    difference = _difference(measured["differences"], best, second)
    if difference is None:
        return f"{both} earn the most reward from {users_of(user_split)}; their difference was not measured."
    interval = f"{signed(difference[0], 1)} [{signed(difference[1], 1)}, {signed(difference[2], 1)}]"
    if difference[1] > 0:
        return (
            f"{best!r} earns the most reward from {users_of(user_split)}, {rewards[best]:.1f} per episode: {interval} "
            f"more than {second!r}."
        )
    return f"No difference shown between {both} with {users_of(user_split)}: {interval}."


def _difference(
    differences: Mapping[str, Mapping[str, Any]], one: str, other: str
) -> tuple[float, float, float] | None:
    """How far the reward of one recommender is above another's: estimate, low, high; None if it was not measured."""
    for entry in differences.values():
        for name, sign in ((one, 1), (other, -1)):
            if entry["reference"] == (other if sign > 0 else one) and name in entry["recommenders"]:
                metric = entry["recommenders"][name]["metrics"]["mean_reward"]
                values = [metric[key] for key in ("estimate", "low", "high")]
                if None in values:
                    return None
                estimate, low, high = (sign * value for value in values)
                return estimate, min(low, high), max(low, high)
    return None


def held_out(summary: Mapping[str, Any]) -> str:
    """What a training came to in its evaluation episodes, test users before others, or that there were none."""
    evaluation = summary.get("evaluation")
    if not evaluation:
        return "no evaluation episodes"
    if held := summary.get("held_out"):
        return f"reward from {users_of(held['user_split'])} {held_out_reward(summary, held['user_split'])}"
    rewards = ", ".join(f"{value:.1f} from {users_of(user_split)}" for user_split, value in evaluation.items())
    return f"reward in evaluation episodes {rewards}"


def held_out_reward(summary: Mapping[str, Any], user_split: str) -> str:
    """The reward of a training from test users with its interval, beside what policies get that did not learn."""
    held = summary["held_out"]
    text = f"{held['estimate']:.1f}"
    if held["low"] is not None and held["high"] is not None:
        text += f" [{held['low']:.1f}, {held['high']:.1f}]"
    others = (summary.get("references") or {}).get(user_split, {})
    beside = ", ".join(f"{name} {one['estimate']:.1f}" for name, one in others.items())
    return f"{text} ({beside})" if beside else text


def usage_rows(usage: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What calling a language model took: calls, tokens and cost, each as a name and a line.

    Args:
        usage: as :meth:`~emosim_core.components.base.Rater.usage` has it; a count that is missing is 0.
    """
    count = Counter({name: value for name, value in usage.items() if isinstance(value, int)})
    calls = (
        f"{count['calls']:,} for {counted(count['requests'], 'request')} ({counted(count['cached'], 'cached answer')}, "
        f"{count['shared']:,} shared)"
    )
    if count["retried"] or count["failed"]:
        calls += f"; {count['retried']:,} of them again, {counted(count['failed'], 'request')} without an answer"
    tokens = (
        f"{count['prompt_tokens']:,} in ({count['cached_tokens']:,} from the service's cache), "
        f"{count['completion_tokens']:,} out ({count['reasoning_tokens']:,} of them reasoning)"
    )
    if unknown := count["unknown_usage"]:
        tokens += f"; tokens of {unknown:,} {'answer is' if unknown == 1 else 'answers are'} unknown"
    if usage.get("cost") is None:
        cost = "not known: no price is known for this model"
    elif usage.get("currency") is None:
        cost = f"{usage['cost']:.6f}" if usage["cost"] else "none"
    else:
        cost = f"{usage['cost']:.6f} {usage['currency']}"
        cost += f", at the prices of {usage['price_as_of']}" if usage.get("price_as_of") else ""
        cost += ", at most, as tokens are unknown" if unknown else ""
    rows = [("calls", calls), ("tokens", tokens), ("cost", cost)]
    if read := count["read_probabilities"]:
        rows.insert(0, ("read", f"{counted(read, 'rating')} by the probabilities that the model returned"))
    return rows


def rating_shares(rating_counts: Mapping[str, int]) -> str:
    """The share of each level among ratings, worst first: ``1 0%, 2 35%, 3 65%``; each at most 1 point off."""
    total = sum(rating_counts.values())
    return ", ".join(f"{level} {count / total:.0%}" for level, count in rating_counts.items()) if total else "none"


def answer_warnings(summary: Mapping[str, Any]) -> list[str]:
    """What is wrong with the answers of a run's language model as a whole; empty where nothing is, or none is asked.

    Args:
        summary: the summary of a run. ``failed_ratings`` has those of answers that could not be read at any attempt.
    """
    if not summary["uses_llm"]:
        return []
    return warnings_of_answers(summary["rating_counts"], summary["failed_ratings"], summary["usage"] or {})


def warnings_of_answers(counts: Mapping[str, int], failed: int, usage: Mapping[str, Any]) -> list[str]:
    """What is wrong with answers of a language model as a whole; empty where nothing is.

    Args:
        counts: how often each level of the scale was the rating, worst first.
        failed: ratings that failed.
        usage: as of :func:`usage_rows`, with what a rater and a choice model of a language model count beside.
    """
    warnings, rated = [], sum(counts.values())
    level, most = max(counts.items(), key=lambda one: one[1])
    advice = "Such ratings say nothing about users; emosim validate --audit says what moves this model."
    if rated >= _ENOUGH_RATINGS and most >= _NEARLY_ALL * rated:
        warnings.append(
            f"{most:,} of {rated:,} ratings are {level}: this model hardly tells users and items apart. {advice}"
        )
    elif (spread := _spread(usage, list(counts))) is not None:
        warnings.append(
            f"The means of the probabilities of {usage['read_probabilities']:,} ratings differ by only {spread:.2f} "
            f"points (standard deviation): ratings are drawn by nearly the same probabilities for all users and items. "
            f"{advice}"
        )
    if failed > rated and 2 * (usage.get("failed") or 0) > failed:
        warnings.append(
            f"{failed:,} of {failed + rated:,} ratings failed: most requests had no answer of the language model. Each "
            "reason says why."
        )
    elif failed > rated:
        warnings.append(
            f"{failed:,} of {failed + rated:,} ratings failed: most answers could not be used. The transcript of a run "
            "has their texts; a prompt strategy that requests the rating alone, such as 0Shot_system_our, or a larger "
            "model may help."
        )
    if (place := _preferred_place(usage)) is not None:
        warnings.append(place)
    unread, cut = usage.get("unread_answers") or 0, usage.get("cut_answers") or 0
    if unread and failed <= rated:
        warnings.append(f"{counted(unread, 'answer')} could not be read, and the model was called again.")
    if cut:
        warnings.append(
            f"{counted(cut, 'answer')} {'was' if cut == 1 else 'were'} cut off at the limit of tokens; a higher one is "
            "max_tokens of --llm-rater, and reasoning_tokens of --llm-model for a model that reasons."
        )
    return warnings


def _spread(usage: Mapping[str, Any], levels: Sequence[str]) -> float | None:
    """The standard deviation of the means of probabilities, in points of the scale; None unless it is small."""
    count, total, squares = (usage.get(name) or 0 for name in ("read_probabilities", *EXPECTED))
    if count < _ENOUGH_RATINGS or not squares:
        return None
    spread = math.sqrt(max(squares / count - (total / count) ** 2, 0.0))
    return spread if spread < _NO_SPREAD * (float(levels[-1]) - float(levels[0])) else None


def _preferred_place(usage: Mapping[str, Any]) -> str | None:
    """That a choice model prefers a place of its list, which is in random order; None where that is not shown."""
    lists: dict[int, list[int]] = {}
    for name, count in usage.items():
        if match := _CHOSEN.fullmatch(name):
            place, size = (int(number) for number in match.groups())
            lists.setdefault(size, [0] * size)[place - 1] = count or 0
    counts = max(lists.values(), key=sum, default=[])
    total = sum(counts)
    if total < _ENOUGH_RATINGS or len(counts) < 2:
        return None
    most, even = max(counts), 1 / len(counts)
    # The share of the commonest place, of as many as there are: three and a half standard errors above an even one.
    if most / total < even + _SURE * math.sqrt(even * (1 - even) / total):
        return None
    return (
        f"Of {total:,} choices from lists in random order, {most / total:.0%} are the item at place "
        f"{counts.index(most) + 1} of {len(counts)}: the order of a list changes what this model chooses."
    )


def summary_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the summary of a run says: names and texts, which have line breaks only between the lines of a list."""
    episodes = summary["episodes"]
    who = who_answers(summary["answered_by"]).removeprefix("Rater: ").removesuffix(".")
    rows = [
        ("rater", one_line(who)),
        (
            "episodes",
            f"{episodes:,}, with {counted(summary['users'], 'different user')}; {counted(summary['steps'], 'step')}",
        ),
    ]
    if raters := summary.get("raters"):
        rows.append(("users of", ", ".join(f"{one_line(name)} {one['users']:,}" for name, one in raters.items())))
    if summary["mean_rating"] is not None:
        rows.append(("mean rating", f"{summary['mean_rating']:.2f} {on_scale(summary['scale'])}"))
        rows.append(("share liked", f"{summary['share_liked']:.1%}"))
        if summary["uses_llm"]:
            rows.append(("ratings", rating_shares(summary["rating_counts"])))
    if clicks := summary.get("clicks"):
        rows += _click_rows(clicks)
    if summary["failed_ratings"]:
        rows.append(("failed ratings", str(summary["failed_ratings"])))
    if counts := summary.get("policy_counts"):
        rows.append(("recommender", counts_in_words(counts)))
    rows += usage_rows(summary["usage"]) if summary.get("usage") else ()
    if episodes:
        mean, median, longest = (summary["episode_length"][key] for key in ("mean", "median", "longest"))
        ends = [
            f"{count / episodes:>6.1%}  {one_line(END_REASONS.get(end, end))}"
            for end, count in summary["end_reasons"].items()
        ]
        valence, arousal = (summary["mood_at_end"][key] for key in ("valence", "arousal"))
        mood = f"valence {signed(valence, 2)}, arousal {arousal:.2f}: {describe_mood(valence, arousal)}"
        rows += [
            ("mean reward", f"{summary['mean_reward']:.2f} per episode"),
            ("episode length", f"{mean:.1f} steps on average, median {median:g}, longest {longest}"),
            ("end reasons", "\n".join(ends)),
            ("mood at the end", mood),
        ]
    for name, key in (("most liked", "most_liked"), ("least liked", "least_liked")):
        if liked := summary[key]:
            lines = (
                f"{one['mean_rating']:>5.2f}  {one_line(one['title'])} ({counted(one['ratings'], 'rating')})"
                for one in liked
            )
            rows.append((name, "\n".join(lines)))
    if summary["steps_per_second"] is not None:
        rows.append(("speed", f"{summary['steps_per_second']:,} steps/s, written to disk included"))
    return rows


def _click_rows(clicks: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What users clicked, and what of it they clicked by place."""
    if clicks["click_rate"] is None:
        return []
    shares = [place["clicked"] / place["recommended"] for place in clicks["places"]]
    by_place = ", ".join(f"{share:.0%}" for share in shares[:_PLACES]) + (", ..." if len(shares) > _PLACES else "")
    overall = (
        f"{clicks['click_rate']:.1%} of recommended items, in {clicks['with_click'] / clicks['slates']:.1%} of slates"
    )
    return [("clicks", overall), ("by place", by_place)]


def counts_in_words(counts: Mapping[str, int]) -> str:
    """What a policy counted, such as ``3 short lists, 1,204 unknown items``."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())


def user_lines(user: User) -> list[str]:
    """Who a user is: name and circumstances, description where there is one, character, tastes where any, mood."""
    about = [f"{user.age}" if user.age is not None else "", user.job, f"hobby: {user.hobby}" if user.hobby else ""]
    known = ", ".join(part for part in about if part)
    lines = [f"{user.name} ({known})" if known else user.name]
    if user.description:
        lines.append(user.description)
    lines.append(
        "Character: " + ", ".join(f"{user.trait_name(trait)} ({trait} {getattr(user, trait)})" for trait in TRAITS)
    )
    if user.liked or user.disliked:
        lines.append(
            f"Likes {', '.join(user.liked) or 'nothing in particular'}; "
            f"dislikes {', '.join(user.disliked) or 'nothing'}."
        )
    lines.append(f"Mood at the start: {mood_words(user.baseline_valence, user.baseline_arousal)}")
    return lines


def on_scale(scale: str) -> str:
    """What follows a rating: ``of 10`` on the scale ``1-10``, ``on -10 to 10`` where the scale begins below 0."""
    ends = re.fullmatch(r"(-?[^-]+)-(.+)", scale)
    if ends is None or not scale.startswith("-"):
        return f"of {scale.rpartition('-')[2]}"
    return f"on {ends[1]} to {ends[2]}"


def signed(value: float, decimals: int) -> str:
    """A number with its sign; what is zero as it is shown has a plus."""
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"


def decimal(value: float | None, decimals: int, sign: bool = False) -> str:
    """A number, with its sign if that is asked for; ``none`` where there is none."""
    if value is None:
        return "none"
    return signed(value, decimals) if sign else f"{value:.{decimals}f}"


def mood_words(valence: float, arousal: float) -> str:
    """A mood in a word and its two numbers."""
    return f"{describe_mood(valence, arousal)} (valence {signed(valence, 2)}, arousal {arousal:.2f})"
