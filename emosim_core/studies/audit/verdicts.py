"""Verdicts of an audit, from its records alone: a check a line, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emosim_core.errors import MissingDependencyError
from emosim_core.model.arrays import Floats
from emosim_core.stats import LEVEL, influences, ratio, rounded, wilson
from emosim_core.studies.audit import battery as variant
from emosim_core.studies.audit.recall import OPTIONS

OK, PROBLEM, OPEN, LEFT_OUT = "ok", "problem", "not shown", "left out"
"""What a verdict can be: as it should be, not so, not shown either way with these users, not asked."""

ONLY_MODELS = "only a language model that is prompted can be asked"
"""Why checks of prompts are left out for other raters."""

SHARES = "share"
"""The unit of shares; all else is in points of the domain's scale."""

WHO = ("own", "other")
"""By whose number a rating of the data set is asked for."""

LIMIT = 0.25
"""Points of a scale of 1 to 10 up to which what must not matter may move an answer."""

SHARE = 0.25
"""Share of what real people differ by, from which a model's answers count as different. Real ratings differ by chance
too, which expectations do not."""

FEWEST = 3
"""Users of an interval below which nothing is shown."""

FEWEST_ANSWERS = 20
"""Answers below which equal ones may be chance."""

NEARLY_ALL = 0.95
"""Share of equal answers, or of unreadable ones the rest, from which a model counts as constant or as readable."""

KNOWN_BY_HEART = 0.05
"""Share of titles whose rest may be guessed."""

BY_HEART = 0.25
"""Share of right answers above chance up to which a model does little more than guess."""

Estimate = Mapping[str, float | None]


@dataclass(frozen=True)
class Verdict:
    """One line of an audit.

    Attributes:
        check: what is looked at, in words; ``group`` is the group of checks that it belongs to.
        result: estimate, low and high; None where it was left out.
        unit: of the result and of ``people``, what real people do; None where nothing is known of these.
        number: how many users or items it is of, in words.
        status: one of :data:`OK`, :data:`PROBLEM`, :data:`OPEN`, :data:`LEFT_OUT`.
        words: the verdict in words, or why it was left out.
    """

    check: str
    group: str
    result: Estimate | None
    unit: str
    people: Estimate | None
    number: str
    status: str
    words: str


class Answers:
    """The answers of an audit, from its records; users U, items S at most.

    Args:
        records: lines of answers.jsonl.
        point: what a point of a scale of 1 to 10 is on the domain's scale.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]], point: float) -> None:
        self.records, self.point = records, point

    def of(self, name: str) -> list[Floats]:
        """The answers of one variant, a row for each user; nothing where it was not asked."""
        return [_numbers(one["answers"][name]) for one in self.records if name in one["answers"]]

    def has(self, *names: str) -> bool:
        """Whether the variants were asked of anybody, and not left out for all."""
        return all(any(~np.isnan(row).all() for row in self.of(name)) for name in names)

    def facts(self, name: str) -> list[Floats]:
        """What is on record of the items of each user, such as ``real``."""
        return [_numbers(one[name]) for one in self.records]

    def mean(self, rows: Iterable[Floats]) -> tuple[Estimate, int]:
        """The mean of values and its interval over users, and of how many users it is; NaN counts nowhere."""
        known = [row[~np.isnan(row)] for row in rows]
        sums = np.array([(row.sum(), len(row)) for row in known if len(row)], dtype=np.float64).reshape(-1, 2)
        return interval(sums), len(sums)

    def apart(self, first: str, second: str) -> list[Floats]:
        """The answers of one variant less those of another."""
        return [one - other for one, other in zip(self.of(first), self.of(second), strict=True)]


def interval(sums: Floats) -> Estimate:
    """A ratio of sums over users, shape ``(users, 2)``, and its 95 % interval by Student's t, wide for few users.

    The standard error is that of the delta method; see :func:`~emosim_core.stats.influences`.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    count = len(sums)
    value = float(ratio(sums.sum(axis=0))) if count else math.nan
    if count < 2:
        return {"estimate": rounded(value), "low": None, "high": None}
    error = float(np.sqrt(influences(sums[:, :1], sums[:, 1:]).var(ddof=1) / count))
    half = students_t(count - 1) * error
    return {"estimate": rounded(value), "low": rounded(value - half), "high": rounded(value + half)}


def students_t(freedom: int) -> float:
    """Standard errors to each end of a 95 % interval by Student's t; a MissingDependencyError without scipy."""
    try:
        from scipy.special import stdtrit
    except ModuleNotFoundError as error:
        raise MissingDependencyError("an audit", "scipy", 'pip install "emosim-core[validate]"') from error
    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _numbers(values: Iterable[Any]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def verdicts_of(
    records: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """All verdicts, as audit.json holds them.

    Args:
        records: lines of answers.jsonl.
        items: lines of titles.jsonl.
        about: the manifest.
    """
    levels = np.array(about["levels"], dtype=np.float64)
    point, checks = (levels[-1] - levels[0]) / 9.0, about["config"]["checks"]
    answers, people = Answers(records, float(point)), about["people"]
    points = f"points of {about['scale']}"
    made = _Made(answers, people, points, about["of_model"], checks)
    lines = [*made.basics(levels)]
    for check in variant.CHECKS:
        if check in checks:
            lines += made.by_check[check]() if check != variant.MEMORIZATION else made.memorization(items)
    return [asdict(line) for line in lines]


class _Made:
    """Makes the verdicts; ``limit`` and ``point`` are in points of the domain's scale."""

    def __init__(
        self, answers: Answers, people: Mapping[str, Any], points: str, of_model: bool, checks: Sequence[str]
    ) -> None:
        self.answers, self.people, self.points, self.of_model = answers, people, points, of_model
        self.limit, self.checks = LIMIT * answers.point, checks
        self.by_check: dict[str, Callable[[], list[Verdict]]] = {
            variant.SWAP: self.swap,
            variant.MOOD: self.mood,
            variant.ACTIVITY: lambda: [self.activity()],
            variant.OTHER_TRAITS: lambda: [self.conformity(), self.diversity()],
            variant.ORDER: self.order,
            variant.PARAPHRASE: lambda: [self.same("Other words", variant.PARAPHRASE, variant.REWORDED, _REWORDED)],
            variant.EXAMPLE: lambda: [self.example()],
            variant.REPETITION: lambda: [self.same("Asked again", variant.REPETITION, variant.AGAIN, _AGAIN)],
        }

    # ----------------------------------------------------------------------------- from unchanged questions

    def basics(self, levels: Floats) -> Iterable[Verdict]:
        """Whether answers can be read, differ at all, differ between items, and predict ratings."""
        base, group = self.answers.of(variant.BASE), "answers"
        every = [(~np.isnan(_answers_of(record))).astype(np.float64) for record in self.answers.records]
        if not every:
            return
        result, number = self.answers.mean(every)
        bad = (result["estimate"] or 0.0) < NEARLY_ALL
        yield self._line(
            *("Answers that can be read", group, result, SHARES, None, number),
            PROBLEM if bad else OK,
            "answers are missing" if bad else "nearly all",
        )
        given = np.concatenate(base)
        given = given[~np.isnan(given)]
        if len(given):
            counts = np.bincount(np.abs(levels[None, :] - given[:, None]).argmin(axis=1), minlength=len(levels))
            most = int(counts.argmax())
            nearest = [np.where(np.isnan(row), np.nan, _is_level(row, levels, most)) for row in base]
            result, number = self.answers.mean(nearest)
            status = OPEN if len(given) < FEWEST_ANSWERS else PROBLEM if counts[most] >= NEARLY_ALL * len(given) else OK
            commonest = f"the commonest is {levels[most]:g}" + (", nearly always" if status == PROBLEM else "")
            yield self._line("Answers at the commonest level", group, result, SHARES, None, number, status, commonest)
        yield self._differs("Another item", group, [_pairs(row) for row in base], "items")
        real, usual = self.answers.facts("real"), [record["past_mean"] for record in self.answers.records]
        better = [
            np.abs(row - given) - np.abs(mean - given) for row, given, mean in zip(base, real, usual, strict=True)
        ]
        result, number = self.answers.mean(better)
        status = _below(result, 0.0)
        words = {
            OK: "nearer to the real rating than the user's own earlier mean",
            PROBLEM: "farther from the real rating than the user's own earlier mean",
            OPEN: _UNSURE,
        }
        yield self._line("Error less that of a user's mean", group, result, self.points, None, number, status, words)

    # ----------------------------------------------------------------------------- persons, moods, traits

    def swap(self) -> list[Verdict]:
        moved = [np.abs(row) for row in self.answers.apart(variant.OTHER, variant.BASE)]
        lines = [self._differs(_SWAPPED, variant.SWAP, moved, "persons")]
        worse = [
            np.abs(other - real) - np.abs(own - real)
            for own, other, real in zip(
                self.answers.of(variant.BASE), self.answers.of(variant.OTHER), self.answers.facts("real"), strict=True
            )
        ]
        result, number = self.answers.mean(worse)
        nothing = result["low"] is not None and (result["high"] or 0.0) <= 0.0
        status = PROBLEM if nothing else _above(result, 0.0)
        words = {
            OK: "the right person's answer is nearer to the real rating",
            PROBLEM: "the right person's answer is no nearer to the real rating",
            OPEN: _UNSURE,
        }
        name = "Error of another person less the own"
        return [*lines, self._line(name, variant.SWAP, result, self.points, None, number, status, words)]

    def mood(self) -> list[Verdict]:
        result, number = self.answers.mean(self.answers.apart(variant.GOOD, variant.BAD))
        people = self.people["mood"]
        low, high = result["low"], result["high"]
        status, words = OPEN, _UNSURE
        if low is not None and high is not None:
            if low > people["high"]:
                status, words = PROBLEM, "moves ratings more than people's does"
            elif high < 0:
                status, words = PROBLEM, "moves ratings the wrong way"
            elif high < people["low"]:
                status, words = PROBLEM, "hardly moves ratings, if at all"
            elif low > 0:
                status, words = OK, "moves ratings as people's does"
        return [self._line("Good mood less bad mood", variant.MOOD, result, self.points, people, number, status, words)]

    def activity(self) -> Verdict:
        """At the same content a trait that is about leaving must not move a rating."""
        result, number = self.answers.mean(self._levels("activity"))
        words = {OK: "moves no rating", PROBLEM: "moves ratings at the same content", OPEN: _UNSURE}
        people, name = self.people["activity"], "Enthusiast less elusive user (activity)"
        status = _within(result, self.limit)
        return self._line(name, variant.ACTIVITY, result, self.points, people, number, status, words)

    def conformity(self) -> Verdict:
        """Those who follow others rate nearer to the public rating."""
        public = self.answers.facts("public")
        high, low = (self.answers.of(variant.level_of("conformity", level)) for level in (3, 1))
        farther = [
            np.abs(far - known) - np.abs(near - known) for far, near, known in zip(high, low, public, strict=True)
        ]
        result, number = self.answers.mean(farther)
        return self._as_people("Distance from the public rating, maverick less follower", "conformity", result, number)

    def diversity(self) -> Verdict:
        result, number = self.answers.mean(self._levels("diversity"))
        return self._as_people("Trailblazer less selective user (diversity)", "diversity", result, number)

    def _levels(self, trait: str) -> list[Floats]:
        return self.answers.apart(*(variant.level_of(trait, level) for level in (3, 1)))

    def _as_people(self, name: str, trait: str, result: Estimate, number: int) -> Verdict:
        """A trait moves answers in the direction of real people who differ in it, and not at all where these do not."""
        people = self.people[trait]
        real, low, high = people["estimate"], people["low"], people["high"]
        if low is None or high is None or real is None or low <= 0 <= high:
            status = _within(result, self.limit)
            words = {OK: "moves hardly anything, as with people", PROBLEM: "moves ratings, unlike people's"}
        else:
            sign = 1.0 if real > 0 else -1.0
            turned = {"low": result["low"], "high": result["high"]}
            if sign < 0 and result["low"] is not None and result["high"] is not None:
                turned = {"low": -result["high"], "high": -result["low"]}
            status, words = OPEN, {OK: "the direction of people"}
            if turned["low"] is not None and turned["high"] is not None:
                status = OK if turned["low"] > 0 else PROBLEM if turned["high"] < SHARE * abs(real) else OPEN
                wrong = turned["high"] < 0
                words[PROBLEM] = "the wrong direction" if wrong else "hardly moves anything, unlike people's"
        return self._line(
            name, variant.OTHER_TRAITS, result, self.points, people, number, status, {OPEN: _UNSURE, **words}
        )

    # ----------------------------------------------------------------------------- what must not matter

    def order(self) -> list[Verdict]:
        lines = [
            self.same("Memories in reverse order", variant.ORDER, variant.REVERSED, _REVERSED),
            self.same("Facts in reverse order", variant.ORDER, variant.FACTS, _FACTS),
        ]
        slates = [one["slate"] for one in self.answers.records if one.get("slate")]
        tables = [_by_item(one) for one in slates]
        known = [table for table in tables if table is not None]
        if not known:
            why = ONLY_MODELS if not self.of_model else "no choice could be read from several orders of a slate"
            return [*lines, self._left_out("Slate in another order", variant.ORDER, why)]
        result, number = self.answers.mean([_overlaps(table) for table in known])
        words = {OK: "mostly the same choice", PROBLEM: "another choice", OPEN: _UNSURE}
        lines.append(
            self._line(
                *("Slate in another order, same choice", variant.ORDER, result, SHARES, None, number),
                _above(result, 0.5),
                words,
            )
        )
        shares = np.array(
            [_by_place(one) for one in slates if _by_item(one) is not None and _size(one) == variant.SLATE]
        )
        shares = shares[~np.isnan(shares).any(axis=1)] if len(shares) else shares
        if len(shares):
            place = int(shares.mean(axis=0).argmax())
            result, number = self.answers.mean(shares[:, [place]])
            even = 1.0 / variant.SLATE
            status = _below(result, even + 0.1)
            at = f"place {place + 1} of {variant.SLATE}"
            words = {
                OK: f"no place is preferred ({at} most)",
                PROBLEM: f"{at} is preferred",
                OPEN: f"{at} most, but too few answers to say that it is preferred",
            }
            even_share = {"estimate": even, "low": None, "high": None}
            name = "Share of the commonest place"
            lines.append(self._line(name, variant.ORDER, result, SHARES, even_share, number, status, words))
        return lines

    def same(self, name: str, group: str, changed: str, words: Mapping[str, str]) -> Verdict:
        """What must not matter: how far answers move, whatever the direction."""
        if not self.answers.has(changed):
            why = ONLY_MODELS if changed != variant.REVERSED and not self.of_model else words[LEFT_OUT]
            return self._left_out(name, group, why)
        result, number = self.answers.mean([np.abs(row) for row in self.answers.apart(changed, variant.BASE)])
        return self._line(name, group, result, self.points, None, number, _within(result, self.limit), words)

    def example(self) -> Verdict:
        name = "Example rated best less rated worst"
        if not self.answers.has(variant.WORST, variant.BEST):
            why = "the form of an answer is not known, so that no example can be made" if self.of_model else ONLY_MODELS
            return self._left_out(name, variant.EXAMPLE, why)
        result, number = self.answers.mean(self.answers.apart(variant.BEST, variant.WORST))
        words = {OK: "does not leak", PROBLEM: "another person's example sets the rating", OPEN: _UNSURE}
        status = _within(result, 2 * self.limit)
        return self._line(name, variant.EXAMPLE, result, self.points, None, number, status, words)

    # ----------------------------------------------------------------------------- memorization

    def memorization(self, items: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        """What is known by heart: years, titles, ratings of the data set; and what a title alone tells."""
        group = variant.MEMORIZATION
        if not self.of_model:
            return [self._left_out("Titles, years and ratings by heart", group, ONLY_MODELS)]
        lines = []
        kinds = (
            ("year", "Years of items, right of four", 1 / OPTIONS, "knows when items came out", "guesses years"),
            ("title", "Titles completed", KNOWN_BY_HEART, "knows titles by heart", "cannot complete titles"),
        )
        for kind, name, chance, knows, guesses in kinds:
            right = [one["correct"] for one in items if one["kind"] == kind and one["correct"] is not None]
            if not right:
                lines.append(self._left_out(name, group, "no item has what is asked for, or no answer came"))
                continue
            low, high = (float(end) for end in wilson(sum(right), len(right)))
            share = {"estimate": sum(right) / len(right), "low": low, "high": high}
            status = PROBLEM if low > chance else OK if high < chance + BY_HEART else OPEN
            words = {PROBLEM: knows, OK: guesses, OPEN: _UNSURE}
            chances = {"estimate": chance, "low": None, "high": None}
            number = f"{len(right)} items"
            lines.append(Verdict(name, group, share, SHARES, chances, number, status, words[status]))
        known = [one["known"] for one in self.answers.records if one.get("known")]
        real = [_numbers(one["real"]) for one in known]
        own, other = ([np.abs(_numbers(one[who]) - row) for one, row in zip(known, real, strict=True)] for who in WHO)
        nearer = [far - near for near, far in zip(own, other, strict=True)]
        name = "Ratings of the data set by user number"
        if any(~np.isnan(row).all() for row in nearer):
            result, users = self.answers.mean(nearer)
            status = self._helps(result)
            words = {
                PROBLEM: "knows ratings of the data set by heart",
                OK: "the number of a user tells it hardly anything",
                OPEN: _UNSURE,
            }
            lines.append(self._line(name, group, result, self.points, None, users, status, words))
        else:
            lines.append(self._left_out(name, group, "no rating could be read"))
        name = "Error with the title hidden less shown"
        if not self.answers.has(variant.HIDDEN):
            return [*lines, self._left_out(name, group, "the prompt shows no title")]
        worse = [
            np.abs(hidden - real) - np.abs(base - real)
            for hidden, base, real in zip(
                self.answers.of(variant.HIDDEN), self.answers.of(variant.BASE), self.answers.facts("real"), strict=True
            )
        ]
        result, users = self.answers.mean(worse)
        status = self._helps(result)
        words = {
            PROBLEM: "part of what it gets right is the title, which it may have read about",
            OK: "the title adds hardly anything to what the prompt tells",
            OPEN: _UNSURE,
        }
        return [*lines, self._line(name, group, result, self.points, None, users, status, words)]

    def _helps(self, result: Estimate) -> str:
        """Whether what must not help makes the error smaller, by more than does not matter."""
        below = _below(result, self.limit)
        return below if below == OK else PROBLEM if _above(result, 0.0) == OK else OPEN

    # ----------------------------------------------------------------------------- lines

    def _differs(self, name: str, group: str, moved: Sequence[Floats], people: str) -> Verdict:
        """Answers that must differ by at least a share of what real people's do."""
        result, number = self.answers.mean(moved)
        real = self.people[people]
        least = SHARE * (real["estimate"] or 0.0)
        status = _above(result, least)
        words = {
            OK: "another answer",
            PROBLEM: "hardly another answer",
            OPEN: _UNSURE,
        }
        return self._line(name, group, result, self.points, real, number, status, words)

    def _line(
        self,
        check: str,
        group: str,
        result: Estimate,
        unit: str,
        people: Estimate | None,
        number: int,
        status: str,
        words: str | Mapping[str, str],
    ) -> Verdict:
        if not number:
            return self._left_out(check, group, "nothing could be compared")
        verdict = words if isinstance(words, str) else words[status]
        if unit == SHARES:
            low, high = (None if end is None else min(max(end, 0.0), 1.0) for end in (result["low"], result["high"]))
            result = {**result, "low": low, "high": high}
        if number < FEWEST and status != OPEN:
            status, verdict = OPEN, f"of too few users to be shown: {verdict}"
        return Verdict(check, group, result, unit, people, f"{number} users", status, verdict)

    def _left_out(self, check: str, group: str, why: str) -> Verdict:
        return Verdict(check, group, None, "", None, "", LEFT_OUT, why)


_SWAPPED = "Another person"
_UNSURE = "too few answers to say"
_REVERSED = {OK: "the same answer", PROBLEM: "another answer", OPEN: _UNSURE, LEFT_OUT: "nobody has two memories"}
_FACTS = {**_REVERSED, LEFT_OUT: "the prompt has no facts between fences"}
_REWORDED = {**_REVERSED, LEFT_OUT: "the prompt has no words that could be replaced"}
_AGAIN = {**_REVERSED, LEFT_OUT: "no answer came"}


def _answers_of(record: Mapping[str, Any]) -> Floats:
    """All answers of a record, without the places where a variant changed nothing."""
    left_out = record["left_out"]
    return np.concatenate(
        [np.delete(_numbers(answers), left_out.get(name, [])) for name, answers in record["answers"].items()]
    )


def _is_level(row: Floats, levels: Floats, level: int) -> Floats:
    filled = np.where(np.isnan(row), levels[0], row)
    nearest: Floats = (np.abs(levels[None, :] - filled[:, None]).argmin(axis=1) == level).astype(np.float64)
    return nearest


def _pairs(row: Floats) -> Floats:
    """Distances of the answers about all pairs of items."""
    first, second = np.triu_indices(len(row), 1)
    return np.abs(row[first] - row[second])


def _within(result: Estimate, limit: float) -> str:
    low, high = result["low"], result["high"]
    if low is None or high is None:
        return OPEN
    return OK if -limit <= low and high <= limit else PROBLEM if low > limit or high < -limit else OPEN


def _above(result: Estimate, bound: float) -> str:
    low, high = result["low"], result["high"]
    if low is None or high is None:
        return OPEN
    return OK if low > bound else PROBLEM if high < bound else OPEN


def _below(result: Estimate, bound: float) -> str:
    return {OK: PROBLEM, PROBLEM: OK, OPEN: OPEN}[_above(result, bound)]


def _size(slate: Mapping[str, Any]) -> int:
    return len(slate["orders"][0])


def _by_item(slate: Mapping[str, Any]) -> Floats | None:
    """By order, how probable none and each item is, shape ``(orders, 1 + items)``; None of fewer than two answers."""
    names = sorted(slate["orders"][0])
    rows = []
    for order, shares in zip(slate["orders"], slate["shares"], strict=True):
        if shares is not None:
            rows.append([shares[0], *(shares[1 + order.index(name)] for name in names)])
    return np.array(rows) if len(rows) > 1 else None


def _overlaps(table: Floats) -> Floats:
    """What the choices from each two orders have in common, between 0 and 1."""
    first, second = np.triu_indices(len(table), 1)
    overlaps: Floats = np.minimum(table[first], table[second]).sum(axis=1)
    return overlaps


def _by_place(slate: Mapping[str, Any]) -> Floats:
    """The share of each place among what is chosen, over all orders; NaN where nothing is or an answer is missing."""
    known = [shares[1:] for shares in slate["shares"] if shares is not None]
    chosen = np.array(known).sum(axis=0)
    if len(known) < len(slate["orders"]) or chosen.sum() <= 0:
        return np.full(_size(slate), np.nan)
    shares: Floats = chosen / chosen.sum()
    return shares


def sentence_of(lines: Sequence[Mapping[str, Any]], answered_by: str, users: int) -> str:
    """How many checks show what, in a sentence or two."""
    counts = {status: [one for one in lines if one["status"] == status] for status in (OK, PROBLEM, OPEN, LEFT_OUT)}
    total = len(lines) - len(counts[LEFT_OUT])
    problems = counts[PROBLEM]
    text = f"{answered_by}, asked about {users} real users: {len(problems)} of {total} checks show a problem"
    text += f", {len(counts[OK])} are as they should be, and {len(counts[OPEN])} are not shown either way."
    if problems:
        named = "; ".join(f"{one['check'].lower()}: {one['words']}" for one in problems)
        text += f" Problems: {named}."
    if any(one["check"] == _SWAPPED for one in problems):
        text = f"A poor person, whose answers hardly depend on the user. {text}"
    return text
