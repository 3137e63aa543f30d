"""For tests of audits: a prompt strategy with bare facts, and services with planted properties that answer it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.made_up_ratings import write_movielens

from emosim_core.testing import Answer

STRATEGY = '''
from dataclasses import replace
from emosim_core.hooks import Component, hookimpl
from emosim_core.llm import ChatRequest, LLMMalformedError, Message, PromptStrategy, Reply

class Bare(PromptStrategy):
    """One fact a line, and the rating alone."""

    def prepare(self, setting):
        self.catalog, self.population = setting.catalog, setting.population
        self.labels = tuple(f"{level:g}" for level in setting.scale.levels)

    def ask(self, request, row, place):
        user, item = self.population.users[request.users[row]], self.catalog.items[request.items[row, place]]
        valence = request.moods[row, 0]
        person = [f"name: {user.name}", f"likes: {', '.join(user.liked)}", f"dislikes: {', '.join(user.disliked)}"]
        person += [f"{trait}: {getattr(user, trait)}" for trait in ("activity", "conformity", "diversity")]
        person += [f"valence: {valence:.2f}"]
        past = [
            f"{self.catalog.titles[item]} = {rating:g}"
            for position, item, rating in zip(
                request.retrieved[row, place], request.retrieved_items[row, place],
                request.retrieved_ratings[row, place],
            )
            if position >= 0
        ]
        public = "" if item.public_rating is None else f"{item.public_rating:.3f}"
        about = [f"title: {item.title}", f"categories: {', '.join(item.categories)}", f"public: {public}"]
        fenced = {"person": person, "history": past, "item": about}
        text = "".join(f"<{name}>\\n" + "\\n".join(lines) + f"\\n</{name}>\\n" for name, lines in fenced.items())
        rules = Message("system", "You are a viewer of films. Answer with a rating, a number and nothing else.")
        return ChatRequest((rules, Message("user", text)), max_tokens=8, choices=self.labels)

    def ask_again(self, request, answer, problem):
        more = Message("assistant", answer.text), Message("user", problem)
        return replace(request, messages=(*request.messages, *more))

    def read(self, answer):
        if answer.text not in self.labels:
            raise LLMMalformedError(f"{answer.text[:40]!r} is no rating.")
        return Reply(float(answer.text), label=answer.text)

@hookimpl
def emosim_prompt_strategies():
    yield Component("bare", "Bare facts.", "emosim_bare:Bare")
'''


def write_titled(folder: Path) -> Path:
    """Made-up ratings of films that have titles of three words, of which no two begin with the same two."""
    write_movielens(folder, users=40, films=60, each=24)
    path = folder / "movies.csv"
    path.write_text(re.sub(r"Film (\d+)", r"Tale\1 of Kelp\1", path.read_text()))
    return folder


def block(text: str, name: str) -> list[str]:
    """The lines between the last fences of a name."""
    found = re.findall(rf"<{name}>\n(.*?)\n</{name}>", text, re.DOTALL)
    return str(found[-1]).split("\n") if found else []


def fields(lines: list[str]) -> dict[str, str]:
    """Lines of a name and a value."""
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


def names(text: str) -> set[str]:
    return {one for one in text.split(", ") if one}


def drawn(text: str, most: int) -> int:
    """A number below ``most`` that a text decides."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % most


@dataclass
class Formula:
    """Answers as an honest person would, by a formula of all facts, unless it has a planted property.

    Attributes:
        mood, activity: points for a unit of valence and for a level of activity.
        conforms: whether followers are nearer to the public rating, and not farther.
        personal: whether it regards the person.
        by_place: whether it regards the order of memories and of facts, the words of the instructions, and the place of
            an item in a slate.
        copies: whether it gives the rating of the last worked answer.
        fickle: whether it answers differently when it is asked again.
    """

    mood: float = 0.55
    activity: float = 0.0
    conforms: bool = True
    personal: bool = True
    by_place: bool = False
    copies: bool = False
    fickle: bool = False
    calls: int = 0

    def __call__(self, body: Mapping[str, Any]) -> Answer:
        self.calls += 1
        messages = body["messages"]
        text = messages[-1]["content"]
        if "In which of the years" in text:
            return Answer(sorted(set(re.findall(r"\b\d{4}\b", text)), key=lambda year: drawn(text + year, 10**6))[0])
        if "begins with" in text or "In the data set" in text:
            return Answer("5")
        if text.count("<item>") > 1:
            return self.chooses(text)
        value = self.value(messages, text)
        low = int(min(max(value, 1.0), 9.999))
        share = round(min(max(value - low, 0.0), 0.999), 3)
        return Answer(str(low), probabilities={str(low): round(1 - share, 3), str(low + 1): share or 1e-6})

    def chooses(self, text: str) -> Answer:
        items = re.findall(r"<item>\n(.*?)\n</item>", text, re.DOTALL)
        return Answer("1" if self.by_place else str(1 + min(range(len(items)), key=lambda place: items[place])))

    def value(self, messages: list[dict[str, str]], text: str) -> float:
        lines = block(text, "person")
        person, item, past = fields(lines), fields(block(text, "item")), block(text, "history")
        public = float(item["public"] or 6)
        kinds = names(item["categories"])
        quality = 1.5 * (drawn(item["categories"] + item["public"], 3) - 1)
        value = public + quality
        if self.personal:
            rated = [float(line.rpartition(" = ")[2]) for line in past if " = " in line]
            value = 0.4 * public + 0.6 * sum(rated) / len(rated) + quality if rated else public + quality
            value += 0.8 * len(kinds & names(person["likes"])) - 0.8 * len(kinds & names(person["dislikes"]))
            stretch = 0.25 * (int(person["conformity"]) - 2) * (1 if self.conforms else -1)
            value = public + (1 + stretch) * (value - public)
            value += self.mood * float(person["valence"]) + self.activity * (int(person["activity"]) - 2)
        if self.by_place:
            value += 0.6 * (float(past[0].rpartition(" = ")[2]) - 6) if past and past[0] else 0.0
            value += 1.5 * lines[0].startswith("name")
            value -= 2.5 * ("rating" in messages[0]["content"])
        if self.copies and messages[-2]["role"] == "assistant":
            value = 0.3 * value + 0.7 * float(messages[-2]["content"])
        return value + (1.5 * drawn(str(self.calls), 2) if self.fickle else 0.0)


@dataclass
class Memorizer:
    """Knows years, titles and ratings of a data set by heart, and rates by the title alone.

    Args:
        folder: the data set.
    """

    folder: Path

    def __post_init__(self) -> None:
        films = [line.split(",") for line in (self.folder / "movies.csv").read_text().splitlines()[1:]]
        titled = {number: re.fullmatch(r"(.*) \((\d{4})\)", title) for number, title, _ in films}
        self.titles = {number: match[1] for number, match in titled.items() if match}
        self.years = {match[1]: match[2] for match in titled.values() if match}
        rows = [line.split(",") for line in (self.folder / "ratings.csv").read_text().splitlines()[1:]]
        self.ratings = {(user, self.titles[film]): 2 * float(stars) for user, film, stars, _ in rows}

    def __call__(self, body: Mapping[str, Any]) -> Answer:
        text = body["messages"][-1]["content"]
        quoted = re.findall(r'"([^"]*)"', text)
        if "In which of the years" in text:
            return Answer(self.years[quoted[0]])
        if "begins with" in text:
            return Answer(f"{quoted[0]} {quoted[0].split()[0].replace('Tale', 'Kelp')}")
        if "In the data set" in text:
            return self.rated(re.findall(r"user (\w+) give", text)[0], quoted[1])
        return self.rated(fields(block(text, "person"))["name"].split()[-1], fields(block(text, "item"))["title"])

    def rated(self, user: str, title: str) -> Answer:
        """The rating that the data set has, or the middle."""
        return Answer(str(round(self.ratings.get((user, title), 5))))
