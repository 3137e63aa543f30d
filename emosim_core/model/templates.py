"""Templates: sentences with choices and slots, from which texts about users are generated.

``[this|that]`` is a choice; ``{slot}`` is filled in. A sentence need not begin with a capital letter; it gets one.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{([^{}]*)\}")

USER_SLOTS = ("name", "first", "who", "they", "them", "their", "self", "age", "a_age", "job", "a_job", "hobby")
"""Slots that every sentence about a user may have."""


def _checker(slots: tuple[str, ...]) -> AfterValidator:
    def check(template: str) -> str:
        for slot in _SLOT.findall(template):
            if slot not in slots:
                raise ValueError(f"no such slot {{{slot}}}; known: {', '.join(f'{{{name}}}' for name in slots)}")
        if re.search(r"[\[\]{}]", _SLOT.sub("", CHOICE.sub(r"\1", template))):
            raise ValueError("a bracket or a brace without its partner, or a choice within a choice")
        return template

    return AfterValidator(check)


Remark = Annotated[str, _checker(USER_SLOTS)]
"""A sentence about a user with the slots that every sentence may have."""

Sentence = Annotated[str, _checker((*USER_SLOTS, "off"))]
"""A sentence about a user. ``{off}`` is when there is time to spare, such as "after work"."""

StageSentence = Annotated[str, _checker((*USER_SLOTS, "off", "subject", "former", "a_former"))]
"""The same of users at one stage of life: ``{subject}`` is for students, ``{former}`` and ``{a_former}`` for retired
users."""

LikesSentence = Annotated[str, _checker((*USER_SLOTS, "liked", "more"))]
"""A sentence about the categories that a user likes."""

DislikesSentence = Annotated[str, _checker((*USER_SLOTS, "disliked", "more", "reason"))]
"""A sentence about the categories that a user dislikes."""

Phrase = Annotated[str, _checker(("first", "they", "them", "their", "self", "category"))]
"""A part of a sentence about a category; ``{category}`` is its name, only in the profile of other categories."""

Name = Annotated[str, _checker(("category",))]
"""What the items of a category are called."""
