"""``emosim prompt``: the prompt of a language model, to the letter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import need_plugin
from emosim_core.cli.printing import print_json, print_line
from emosim_core.errors import ConfigurationError

if TYPE_CHECKING:
    from emosim_core.llm.chat import ChatRequest
    from emosim_core.simulation.assembly import World

_FIELDS = ("plugin", "items", "user_dataset", "embeddings", "llm_rater", "items_retrieval")


@click.command(cls=SectionedCommand)
@click.option("--user", required=True, help="User: an id, or an index from 0.")
@click.option("--item", required=True, help="Item: an id, or an index from 0.")
@click.option("--history", default="", help="Consumed items before, oldest first, as ITEM=RATING,ITEM=RATING.")
@click.option("--mood", help="Valence in -1 to 1 and arousal in 0 to 1, as 0.2,0.6.  [the user's baseline]")
@click.option("--times", type=click.IntRange(min=0), help="Times the item was consumed before.  [as in --history]")
@field_options("EnvironmentConfig", only=_FIELDS)
@click.option("--json", "as_json", is_flag=True, help="Print the prompt as JSON and nothing else.")
@click.pass_obj
def prompt(
    obj: dict[str, Any],
    /,
    user: str,
    item: str,
    history: str,
    mood: str | None,
    times: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Print the exact prompt for one user and item. No model is called.

    Ratings in --history are on the domain's scale.
    """
    import numpy as np

    from emosim_core.hooks import Registry
    from emosim_core.llm.options import DEFAULT_STRATEGY
    from emosim_core.llm.prompts.prompt_strategy import PromptStrategy
    from emosim_core.simulation.assembly import assemble
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.study import Trial
    from emosim_core.studies.trials import trial_request

    registry = Registry(only=obj["only"])
    llm_rater = given.pop("llm_rater")
    values = {name: value for name, value in given.items() if value is not None}
    need_plugin(values, registry)
    config = EnvironmentConfig(**values)
    world = assemble(config, registry)
    chosen = DEFAULT_STRATEGY if llm_rater is None else llm_rater
    strategy: PromptStrategy = registry.resolve("prompt_strategy", chosen, world.domain.name).build(PromptStrategy)
    strategy.prepare(world.setting())
    user_index = _index(user, world.population.index, "user", "--user")
    place = _index(item, world.catalog.index, world.domain.words.item, "--item")
    past = _read_history(history, world)
    moods = None if mood is None else np.array([_read_mood(mood)])
    rating_request = trial_request(world, [Trial(user_index, place, memory=tuple(past))], moods)
    if times is not None:
        rating_request = replace(rating_request, times=np.array([[times]]))
    request = strategy.ask(rating_request, 0, 0)
    _print_json(request) if as_json else _print(request)


def _index(written: str, known: Mapping[str, int], what: str, option: str) -> int:
    """An index from an id or, where there is no such id, from an index; a ConfigurationError where it is neither."""
    from emosim_core.hooks.names import did_you_mean

    if written in known:
        return known[written]
    if written.isascii() and written.isdigit() and len(written) < 10 and int(written) < len(known):
        return int(written)
    raise ConfigurationError(
        f"{option} {written!r} is no id of a {what} and no index from 0 to {len(known) - 1}."
        + did_you_mean(written, known)
    )


def _read_history(text: str, world: World) -> list[tuple[int, float]]:
    """Items and ratings of ITEM=RATING,..., oldest first; a ConfigurationError names the part that is wrong."""
    scale, past = world.domain.scale, []
    for part in filter(None, (part.strip() for part in text.split(","))):
        item, _, rating = part.rpartition("=")
        try:
            value = float(rating)
        except ValueError:
            value = float("nan")
        if not item or not scale.contains(value):
            raise ConfigurationError(
                f"--history: expected ITEM=RATING with a rating of {scale}, such as "
                f"{world.catalog.items[0].id}={scale.format(scale.high)}; got {part!r}"
            )
        past.append((_index(item.strip(), world.catalog.index, world.domain.words.item, "--history"), value))
    return past


def _read_mood(text: str) -> list[float]:
    """Valence and arousal; a ConfigurationError where they are not two numbers in their ranges."""
    try:
        valence, arousal = (float(part) for part in text.split(","))
    except ValueError:
        valence = arousal = float("nan")
    if not (-1 <= valence <= 1 and 0 <= arousal <= 1):
        raise ConfigurationError(f"--mood: expected valence in -1 to 1 and arousal in 0 to 1, as 0.2,0.6; got {text!r}")
    return [valence, arousal]


def _print(request: ChatRequest) -> None:
    import json

    from emosim_core.studies.cost import CHARACTERS_PER_TOKEN, request_tokens

    for message in request.messages:
        print_line(f"--- {message.role} ---", bold=True)
        click.echo(message.content)
        print_line("")
    print_line("--- options of the request ---", bold=True)
    if request.choices:
        print_line(f"answer: one of {', '.join(request.choices)}")
    elif request.schema is not None:
        print_line(f"answer: JSON that fits {json.dumps(request.schema)}")
    else:
        print_line("answer: free text")
    print_line(f"at most {request.max_tokens} tokens of answer, temperature {request.temperature:g}")
    how = f"characters / {CHARACTERS_PER_TOKEN}; models count their own"
    print_line(f"about {request_tokens(request):,} tokens in the request ({how})")


def _print_json(request: ChatRequest) -> None:
    from emosim_core.studies.cost import request_tokens

    print_json(
        {
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "choices": list(request.choices),
            "schema": None if request.schema is None else dict(request.schema),
            "estimated_tokens": request_tokens(request),
        }
    )
