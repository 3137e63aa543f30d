"""The words that generated users are made of: names, jobs, hobbies and sentences that suit any domain.

They are in ``words.toml`` beside this module, which says what the slots of its sentences are.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from emosim_core.data.toml_files import read_toml
from emosim_core.model.frozen import Frozen
from emosim_core.model.templates import Sentence, StageSentence

Stage = Literal["school", "student", "working", "retired"]
"""A stage of life; it decides on job, hobby and sentences."""


class Origin(Frozen):
    """Names of one part of the world. Any first name may meet any last name."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    last: tuple[str, ...]


class School(Frozen):
    """What a school child from the first to the last age is called."""

    first: int
    last: int
    jobs: tuple[str, ...]


class ChildHobbies(Frozen):
    """Hobbies of children and teenagers from the first to the last age."""

    first: int
    last: int
    hobbies: tuple[str, ...]


class UserWords(Frozen):
    """What ``words.toml`` holds.

    Attributes:
        first_jobs: jobs of users aged 18 to 24 who have just begun.
        jobs: jobs by the age from which a user may have one.
        child_hobbies: hobbies of children and teenagers, by age.
        openings_with_hobby: first sentences that name the hobby too, by stage of life.
        off: when there is time to spare, by stage of life; ``nursery`` is for those below school age.
    """

    origins: tuple[Origin, ...]
    first_jobs: tuple[str, ...]
    jobs: dict[int, tuple[str, ...]]
    subjects: tuple[str, ...]
    school: tuple[School, ...]
    hobbies: tuple[str, ...]
    child_hobbies: tuple[ChildHobbies, ...]
    openings: dict[Stage, tuple[StageSentence, ...]]
    openings_with_hobby: dict[Stage, tuple[StageSentence, ...]]
    hobby_sentences: tuple[Sentence, ...]
    off: dict[Stage | Literal["nursery"], tuple[str, ...]]


@cache
def user_words() -> UserWords:
    """The words, read once; a DataError where the file is missing or malformed, which names the field."""
    return read_toml(files("emosim_core.population") / "words.toml", "emosim_core/population/words.toml", UserWords)
