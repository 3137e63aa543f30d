"""What cells of the data sets of Goodreads hold: titles with a series, shelves, languages and ISBNs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from emosim_books.book import CATEGORIES
from emosim_core.loading import known_text

MOST_CATEGORIES = 4
TAGS: dict[str, str] = {
    **{name.replace(" ", "-"): name for name in CATEGORIES},
    "general-fiction": "fiction",
    "literary-fiction": "fiction",
    "contemporary-fiction": "fiction",
    "literature": "fiction",
    "novels": "fiction",
    "biographies": "biography",
    "autobiography": "biography",
    "biography-memoir": "biography",
    "memoirs": "memoir",
    "finance": "economics",
    "fitness": "health",
    "nutrition": "health",
    "medicine": "health",
    "computer-science": "computers",
    "programming": "computers",
    "humour": "humor",
    "comedy": "humor",
    "funny": "humor",
    "plays": "drama",
    "theatre": "drama",
    "theater": "drama",
    "high-fantasy": "fantasy",
    "epic-fantasy": "fantasy",
    "urban-fantasy": "fantasy",
    "sci-fi": "science fiction",
    "scifi": "science fiction",
    "sf": "science fiction",
    "mysteries": "mystery",
    "crime": "mystery",
    "detective": "mystery",
    "thrillers": "thriller",
    "suspense": "thriller",
    "contemporary-romance": "romance",
    "paranormal-romance": "romance",
    "historical": "historical fiction",
    "children-s": "children",
    "childrens": "children",
    "children-s-books": "children",
    "childrens-books": "children",
    "kids": "children",
    "picture-books": "children",
    "middle-grade": "children",
    "ya": "young adult",
    "young-adult-fiction": "young adult",
    "teen": "young adult",
    "classic": "classics",
    "classic-literature": "classics",
    "popular-science": "science",
    "physics": "science",
    "biology": "science",
    "selfhelp": "self-help",
    "personal-development": "self-help",
    "political": "politics",
    "political-science": "politics",
    "religious": "religion",
    "spirituality": "religion",
    "christian": "religion",
    "theology": "religion",
    "travel-writing": "travel",
    "animals": "nature",
    "poems": "poetry",
    "sport": "sports",
    "cookbooks": "cooking",
    "cookbook": "cooking",
    "essay": "essays",
}
"""The category that a tag speaks of. Other tags, such as "to-read" and "non-fiction", speak of none."""

_LANGUAGES: dict[str, str] = {
    "ara": "ar", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de",
    "dut": "nl", "ell": "el", "eng": "en", "est": "et", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de",
    "gre": "el", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja",
    "kor": "ko", "lat": "la", "lav": "lv", "lit": "lt", "may": "ms", "msa": "ms", "nld": "nl", "nor": "no", "per": "fa",
    "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "slk": "sk", "slo": "sk", "slv": "sl", "spa": "es",
    "srp": "sr", "swe": "sv", "tam": "ta", "tha": "th", "tur": "tr", "ukr": "uk", "urd": "ur", "vie": "vi", "zho": "zh",
}  # fmt: skip
"""Of some codes of ISO 639-2, that of ISO 639-1."""

_SERIES = re.compile(r"(?P<title>.*\S)\s*\((?P<series>[^()#]*[^()#,\s]),?\s*#(?P<part>[^()]*)\)", re.DOTALL)
_PART = re.compile(r"0*([1-9][0-9]{0,3})")
_ISBN = re.compile(r"[0-9]{9}[0-9X]|[0-9]{13}")
_DAMAGED_ISBN = re.compile(r"[0-9]+(?:\.[0-9]+)?E\+[0-9]+", re.IGNORECASE)


def categories_of(tags: Iterable[str]) -> list[str]:
    """The categories that tags or shelves speak of, in their order, at most four."""
    return list(dict.fromkeys(kind for tag in tags if (kind := TAGS.get(tag.lower()))))[:MOST_CATEGORIES]


def split_title(text: str) -> tuple[str, str | None, int | None]:
    """Title, series and position of a Goodreads title.

    "Catching Fire (The Hunger Games, #2)" is ("Catching Fire", "The Hunger Games", 2). A position that is not one
    whole number from 1 is None. What stands in brackets without a number stays in the title.
    """
    text = " ".join(text.split())
    match = _SERIES.fullmatch(text)
    if match is None:
        return text, None, None
    part = _PART.fullmatch(match["part"].partition(";")[0].strip())
    return match["title"], match["series"].strip(), int(part[1]) if part else None


def language(code: str) -> str | None:
    """The code of ISO 639-1: of "eng", "en-US" and "en" it is "en"; None where there is none or it is not known."""
    language = code.lower().partition("-")[0]
    two_letters = len(language) == 2 and language.isascii() and language.isalpha()
    return language if two_letters else _LANGUAGES.get(language)


def isbn(text: str) -> str | None:
    """The ISBN in a cell. Table programs drop zeros at its beginning, and write 9.78E+12 for what is then lost."""
    if not known_text(text) or _DAMAGED_ISBN.fullmatch(text):
        return None
    return text.removesuffix(".0").zfill(10)


def sound_isbn(*texts: str) -> str | None:
    """The first ISBN among cells that may also hold other things; None where there is none."""
    plain = (text.replace("-", "").replace(" ", "").upper() for text in texts)
    return next((text for text in plain if _ISBN.fullmatch(text)), None)
