"""Converts ratings within a user's description to the scale of a prompt; other numbers stay."""

from __future__ import annotations

import re
from collections.abc import Set

from emosim_core.llm.prompts.scales import NUMBER_WORDS, PromptScale
from emosim_core.model import RatingScale

_VALUES = {word: float(value) for value, word in enumerate(NUMBER_WORDS)}
_NUMBER = rf"(?:\d{{1,2}}(?:\.\d)?|{'|'.join(NUMBER_WORDS)})"

_CUE = re.compile(
    r"\b(?:gives?|giving|gave|given|rates?|rating|ratings|rated|scores?|marks)\b|\bmark\s+of\b", re.IGNORECASE
)
"""Words after which, in the same sentence, a number may be a rating."""

_BETWEEN = r"(?:-|\u2013|\u2014|\bto\b|\bor\b|\band\b)"
_NUMBERS = rf"{_NUMBER}(?:(?:,\s*{_NUMBER}){{0,9}},?\s*{_BETWEEN}\s*{_NUMBER})?"

_GROUP = re.compile(
    rf"(?<![\w.,/$€£#'\u2019-])(?P<article>an?\s+)?(?P<numbers>{_NUMBERS})"
    r"(?:(?P<of>\s*/\s*|\s+out\s+of\s+|\s+of\s+)(?P<top>10|5|ten|five))?(?![\w%/'\u2019]|[.,:]\d|-\w)",
    re.IGNORECASE,
)
"""One number, a range or a list, with or without ``out of 10``."""

_ONE = re.compile(_NUMBER, re.IGNORECASE)

_NOT_AFTER = frozenset(
    (
        *("age", "aged", "ages", "born", "turned", "turns", "year", "years"),
        *("at", "before", "during", "in", "on", "since", "started", "until", "when", "last", "past", "every"),
        *("chapter", "class", "grade", "level", "number", "page", "part", "room", "season", "top", "volume"),
        *("of", "no", "no."),
    )
)
"""Words before a number that make it something else: an age, a place in a series, a time."""

_NOT_AFTER_WITHOUT_SCALE = _NOT_AFTER | {"is", "are", "was", "were"}
"""The same for a number that does not say its scale: "is 9" is an age, "is 9/10" a rating."""

_AFTER_ALL = re.compile(r"\b(?:ratings?|scores?|marks?)\s+(?:of|in|at|is|are|was|were)\s*$", re.IGNORECASE)
"""Where a number after such a word is a rating all the same: "a rating of 7"."""

_THEN = re.compile(
    r"\s*(?:$|[.,;:!?)\]\"\u201d\u2013\u2014]|(?:stars?|points?|ratings?|marks?|to|for|and|or|at|on|in|from|since|below|above|when|"
    r"whenever|if|as|but|because|even|only|while|unless|though|although|whatever|with|without|otherwise|always|never|"
    r"regardless|most|almost|is|are|every\s+time|each\s+time)(?!\w))",
    re.IGNORECASE,
)
"""What may follow a rating. Anything else, such as "years" or "times", is what the number counts."""

_LAST_WORD = re.compile(r"([\w.'\u2019-]+)\W*$")
_NEAR = 60
"""Characters before a number that are looked at."""

_SENTENCE = re.compile(r"[^.!?;\n]*(?:\.\d[^.!?;\n]*)*(?:[.!?;\n]+|$)")


def move_ratings(text: str, source: RatingScale, target: PromptScale) -> str:
    """A text whose ratings are on the scale of a prompt.

    "Gives 8 to 10" of 1-10 becomes "gives 7 to 9" on 0-9. A number is a rating where it follows, in its sentence, a
    word such as "gives" or "ratings", counts nothing ("8 years") and lies on the scale; or where it says its scale
    itself ("9 out of 10", "3/5"). Ages, years, counts and times stay. In doubt a number stays.

    Args:
        text: the description of a user.
        source: the scale that its ratings are on, where they do not say their own: the domain's.
        target: the scale of the prompt.
    """
    if not any(character.isdigit() for character in text) and not _ONE.search(text):
        return text
    return "".join(_moved(sentence, source, target) for sentence in _SENTENCE.findall(text))


def _moved(sentence: str, source: RatingScale, target: PromptScale) -> str:
    cue = _CUE.search(sentence)
    begins = len(sentence) if cue is None else cue.end()

    def replaced(match: re.Match[str]) -> str:
        numbers, of, top = match["numbers"], match["of"], match["top"]
        before = sentence[max(0, match.start() - _NEAR) : match.start()]
        says_it = _AFTER_ALL.search(before) is not None
        others = _NOT_AFTER_WITHOUT_SCALE if top is None else _NOT_AFTER
        if not (says_it or _may_follow(before, others)) or not _THEN.match(sentence, match.end()):
            return match[0]
        if top is None and (match.start() < begins or (numbers.lower() == "one" and not says_it)):
            return match[0]
        moved = _written(numbers, source if top is None else _own_scale(top, source), target, clip=top is not None)
        if moved is None:
            return match[0]
        end = "" if top is None else f"{' out of ' if target.in_words else of}{target.labels[-1]}"
        return f"{_article(match['article'], moved)}{moved}{end}"

    return _GROUP.sub(replaced, sentence)


def _article(written: str | None, number: str) -> str:
    """The article before a number that was moved: "a 9", "an 8"."""
    if written is None:
        return ""
    return f"{written[0]}{'n' if number.startswith(('8', 'eight')) else ''} "


def _may_follow(before: str, others: Set[str]) -> bool:
    word = _LAST_WORD.search(before)
    return word is None or word[1].lower() not in others


def _own_scale(top: str, source: RatingScale) -> RatingScale:
    """The scale that "out of ``top``" means; the domain's where it ends there."""
    high = _value(top)
    return source if source.high == high else RatingScale(low=1, high=high, step=1)


def _written(numbers: str, source: RatingScale, target: PromptScale, clip: bool = False) -> str | None:
    """Numbers and what stands between them on the other scale; None where one is no rating."""
    values = [_value(one) for one in _ONE.findall(numbers)]
    if clip:
        values = [min(max(value, source.low), source.high) for value in values]
    if not all(source.low <= value <= source.high for value in values):
        return None
    moved = iter([target.show(value, source) for value in values])
    return _ONE.sub(lambda _: next(moved), numbers)


def _value(number: str) -> float:
    word = _VALUES.get(number.lower())
    return float(number) if word is None else word
