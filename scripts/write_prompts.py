"""Writes docs/prompt-texts.md: the whole prompt of each built-in strategy, for one user and one film.

``python scripts/write_prompts.py`` writes; ``--check`` writes nothing, and its status is 1 where the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from emosim_core import EnvironmentConfig
from emosim_core.hooks import Registry
from emosim_core.llm.chat import ChatRequest
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy
from emosim_core.simulation.assembly import assemble
from emosim_core.studies.study import Trial
from emosim_core.studies.trials import trial_request

PAGE = Path(__file__).resolve().parents[1] / "docs" / "prompt-texts.md"

USER, ITEM = "u0155", "zootopia-2016"
PAST = (("memento-2000", 9.0), ("toy-story-1995", 3.0), ("moon-2009", 8.0))
MOOD = (0.3, 0.7)

HEAD = f"""# The text of every prompt

This page is written by `python scripts/write_prompts.py`; a test fails where it is stale. It shows what each built-in
strategy sends to a model for the same question about films: the user `{USER}`, who has seen three films, and the film
`{ITEM}`. Options change the texts, and other users and films draw other worked examples
([language-models.md](language-models.md#prompt-strategies)). `emosim prompt` prints the prompt of any question.

What the strategies are worth with two small models is in [prompts.md](prompts.md).
"""


def page() -> str:
    """The whole page."""
    registry = Registry()
    world = assemble(EnvironmentConfig(plugin="movies", items_retrieval="last_3"), registry)
    index = world.catalog.index
    memory = tuple((index[item], rating) for item, rating in PAST)
    trial = Trial(world.population.index[USER], index[ITEM], memory=memory)
    parts = [HEAD]
    for component, provider in registry.components("prompt_strategy", "movies"):
        if provider.distribution != "emosim-core":
            continue
        strategy: PromptStrategy = registry.resolve("prompt_strategy", component.name, "movies").build(PromptStrategy)
        strategy.prepare(world.setting())
        asked = strategy.ask(trial_request(world, [trial], np.array([MOOD])), 0, 0)
        parts.append(f"\n## {component.name}\n\n{component.summary}\n\n```text\n{_text(asked)}\n```\n")
    return "".join(parts)


def _text(asked: ChatRequest) -> str:
    lines = [f"--- {message.role} ---\n{message.content}\n" for message in asked.messages]
    if asked.choices:
        form = f"one of {', '.join(asked.choices)}"
        opening = f", after {asked.opening!r} where the model can be made to begin so" if asked.opening else ""
        lines.append(f"--- the answer ---\n{form}{opening}")
    else:
        lines.append("--- the answer ---\na JSON object")
    return "\n".join(lines)


def main(check: bool) -> int:
    """Write the page, or only say whether it is stale; returns the exit status."""
    text = page()
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(f"stale: {PAGE.name}")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    print(f"written: {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
