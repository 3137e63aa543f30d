"""Writes prompts about real users with their real ratings as answers, to fine-tune a language model on.

    python scripts/write_examples.py --plugin movies --ratings movielens:PATH --out examples

Each line of ``examples.jsonl`` is ``{"messages": [...], "answer": "7"}``: the prompt that ``emosim`` sends about a
user and a film, and the real rating on the scale of the prompt. What the prompt says of a user is what they did before
the rated films, as ``emosim validate`` has it. The users whose ids are in ``test_users.txt`` are in no example and in
nothing that the prompts tell: measure the model on them, with ``emosim validate --test-users``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from emosim_core.fitting.profiles import Profiles
from emosim_core.hooks import Registry
from emosim_core.llm import ChatAnswer
from emosim_core.llm.rater import ModelRater
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import EnvironmentConfig
from emosim_core.studies.validation.knowledge import Knowledge, RealLog
from emosim_core.studies.validation.simulator import UserSimulator
from emosim_core.studies.validation.users import TRAIN, VALIDATION, Part, real_users_of, user_split_of


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", required=True, help="domain, such as movies")
    parser.add_argument("--ratings", required=True, help="log of real users, as of emosim validate")
    parser.add_argument("--items", help="item source of the log")
    parser.add_argument("--columns", default="", help="columns of a csv: or parquet: log")
    parser.add_argument("--strategy", default="0Shot_system_our", help="prompt strategy; one that asks for the rating")
    parser.add_argument("--users", type=int, default=40, help="users with examples (40)")
    parser.add_argument("--per-user", type=int, default=10, help="examples of each (10)")
    parser.add_argument("--test-users", type=int, default=8, help="users to measure on (8)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, required=True, help="folder of examples.jsonl and test_users.txt")
    return parser.parse_args()


def main() -> None:
    """Write both files."""
    given = arguments()
    registry = Registry()
    model = {"plugin": given.plugin, "llm_model": "local:smollm2", "llm_rater": given.strategy}
    world = assemble(EnvironmentConfig(**model), registry)  # no model is loaded for its prompts
    log = RealLog(registry, given.plugin, (given.ratings, given.items, given.columns), "lexical", given.seed)
    if log.interactions.values is None:
        raise SystemExit("the log has no ratings")
    real_users = real_users_of(log.interactions)
    test = [one.id for one in real_users if user_split_of(one.id) == VALIDATION][: given.test_users]
    chosen = [one for one in real_users if user_split_of(one.id) == TRAIN][: given.users]
    apart = {*test, *(one.id for one in chosen)}
    training = np.array([name not in apart for name in log.interactions.user_ids])
    part = Part("examples", training, tuple(sorted(chosen, key=lambda one: one.moment or 0)))
    lines = list(examples(replace(world, catalog=log.catalog), log, part, given.per_user, given.seed))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "examples.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    (given.out / "test_users.txt").write_text("".join(f"{name}\n" for name in test), encoding="utf-8")
    print(f"{len(lines):,} examples of {len(chosen):,} users in {given.out}; {len(test):,} users to measure on")


def examples(world: World, log: RealLog, part: Part, each: int, seed: int) -> Iterator[dict[str, object]]:
    """The examples of the users of a part, month by month."""
    knowledge = Knowledge(log, part, seed)
    rater = world.rater
    assert isinstance(rater, ModelRater)
    rng = np.random.default_rng(seed)
    for month, some in groupby(part.users, key=lambda one: one.moment):
        known, those = knowledge.known(month), [*some]
        if not known.enough:
            continue
        profiles = Profiles(known.log, known.catalog, world.domain.scale, world.domain.words)
        users = [profiles.user(one.id, profiles.row(one.past)) for one in those]
        simulator = UserSimulator(replace(world, catalog=known.catalog), those, users, seed)
        for row, one in enumerate(those):
            places = np.sort(rng.permutation(len(one.later))[:each])
            request = simulator.request(row, one.later[places])
            for place, real in enumerate(one.later_values[places].tolist()):
                asked = rater.prompt_strategy.ask(request, 0, place)
                if not asked.choices:
                    raise SystemExit("this prompt strategy does not ask for the rating alone; choose another")
                ratings = [rater.prompt_strategy.read(ChatAnswer(label)).rating for label in asked.choices]
                answer = asked.choices[int(np.abs(np.array(ratings) - real).argmin())]
                messages = [{"role": message.role, "content": message.content} for message in asked.messages]
                yield {"messages": messages, "answer": answer}


if __name__ == "__main__":
    main()
