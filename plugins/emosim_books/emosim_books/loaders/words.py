"""What the words of published data sets are in the words of this package, as ``words.toml`` says."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from emosim_core.loading import read_toml


@dataclass(frozen=True)
class Words:
    """Categories by what a data set calls them, and codes of languages; ``words.toml`` describes each table."""

    goodreads_tags: dict[str, tuple[str, ...]]
    goodreads_genres: dict[str, tuple[str, ...]]
    amazon_departments: dict[str, tuple[str, ...]]
    amazon_kinds: dict[str, tuple[str, ...]]
    language_names: dict[str, str]
    language_codes: dict[str, str]


WORDS = read_toml(files(__package__) / "words.toml", f"{__package__}/words.toml", Words)
