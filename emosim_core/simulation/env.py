"""EmoSimEnv: one simulated user as a Gymnasium environment, a batch of one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import check_names
from emosim_core.model.arrays import Flags
from emosim_core.simulation.actions import Actions, ActionSpace
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import EnvironmentConfig, read_config
from emosim_core.simulation.engine import Engine, Step
from emosim_core.simulation.info import RENDER_MODES, checked_render_mode, rendered, step_info, user_info


class EmoSimEnv(gymnasium.Env[dict[str, Any], Any]):
    """One user answers a recommender.

    The action is an item index, or S of them with a slate of S, or a score of every item. What is observed, the option
    ``observation`` says (by default :class:`~emosim_core.components.observations.Parts`); the reward is the sum of the
    shaped ratings of what was consumed. The episode is terminated when the user leaves and truncated at ``max_steps``.
    Names and texts are in ``info`` (see :func:`~emosim_core.simulation.info.step_info`).

    ``reset(seed=s)`` starts the numbering of episodes anew; each further ``reset()`` is the next
    episode of that seed. ``reset(options={"user": id})`` chooses the user.

    Args:
        plugin: the domain, such as ``"movies"``.
        action_space: ``"items"`` or ``"scores"``, see :class:`~emosim_core.simulation.actions.Actions`.
        render_mode: ``"ansi"`` to have :meth:`render` tell the last step in words, ``"rgb_array"`` for an image of
            these words (needs Pillow when it is rendered).
        world: a world that is assembled already; then no other option may be given.
        registry: plugins to use; found anew if not given.
        options: fields of :class:`~emosim_core.simulation.config.EnvironmentConfig`.

    Raises:
        EmoSimError: something that the configuration names is wrong or missing.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(
        self,
        plugin: str | None = None,
        *,
        action_space: ActionSpace = "items",
        render_mode: str | None = None,
        world: World | None = None,
        registry: Registry | None = None,
        **options: Any,
    ) -> None:
        self.render_mode = checked_render_mode(render_mode)
        self._owns_world = world is None
        self.world = make_world(plugin, world, registry, options, type(self))
        self.engine = Engine(self.world)
        self._actions = Actions(action_space, self.world, self.engine)
        self.action_space = self._actions.space
        self.observation_space = spaces.Dict(dict(self.engine.observation_parts))
        self._slot = self.engine.all_rows
        self._episode = -1
        self._last: Step | None = None
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; a seed starts their numbering anew, ``options={"user": id or index}`` chooses the user.

        Raises:
            ConfigurationError: an unknown option or an unknown user.
        """
        chosen = chosen_user(self.world, options)
        super().reset(seed=seed)
        self._episode = 0 if seed is not None else self._episode + 1
        _ = self.np_random  # without any seed so far, Gymnasium draws one here
        own_seed = int(self.np_random_seed)
        user = self.engine.user_of(own_seed, self._episode) if chosen is None else chosen
        self.engine.begin(self._slot, [own_seed], [self._episode], [user])
        self._over = False
        self._last = None
        return self._observation(), {**user_info(self.world, user), "episode": self._episode}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Recommend an item, or a slate of items.

        Raises:
            ConfigurationError: the episode is over, or the action is no item index, or no scores.
            RatingError: the rater failed and ``on_failed_rating`` is ``"raise"``.
        """
        if self._over:
            begun = "the episode is over" if self._episode >= 0 else "no episode has begun"
            raise ConfigurationError(f"{begun}: call reset() before step()")
        step = self._last = self.engine.step(self._actions.items(action, 1))
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        self._over = terminated or truncated
        if self._over:
            self.engine.end(self._slot)
        return self._observation(), float(step.rewards[0]), terminated, truncated, step_info(self.world, step, 0)

    def action_masks(self) -> Flags:
        """Which items the user does not remember, shape ``(N,)``; the name is the one that sb3-contrib looks for."""
        return ~self.engine.memory.consumed(self._slot)[0].view(np.bool_)

    def _observation(self) -> dict[str, Any]:
        return {key: value[0] for key, value in self.engine.observe().items()}

    def close(self) -> None:
        """Let go of what the world holds on to, unless it was given to more than this environment."""
        if self._owns_world:
            self.world.close()
        super().close()

    def render(self) -> str | NDArray[np.uint8] | None:
        """The last step in words, or as an image of shape ``(H, W, 3)``, as ``render_mode`` says."""
        info = None if self._last is None else step_info(self.world, self._last, 0)
        return None if self.render_mode is None else rendered(self.world, info, self.render_mode)


def make_world(
    plugin: str | None, world: World | None, registry: Registry | None, options: dict[str, Any], owner: type
) -> World:
    """The world given, or one assembled from options; a ConfigurationError for both, neither or a wrong option.

    ``owner`` is the class of the environment; an option that looks like an argument of it is said to be that.
    """
    if world is not None:
        if plugin is not None or options:
            raise ConfigurationError("give a world that is assembled already, or options, not both")
        return world
    if plugin is None:
        raise ConfigurationError("name the domain to simulate, such as plugin='movies'")
    check_names("environment", options, (EnvironmentConfig,), owner)
    return assemble(read_config(EnvironmentConfig, {"plugin": plugin, **options}, "environment"), registry)


def chosen_user(world: World, options: dict[str, Any] | None) -> int | None:
    """Index of the user that ``reset(options=...)`` chooses; None if none, a ConfigurationError if it is unknown."""
    if not options:
        return None
    if unknown := sorted(map(str, set(options) - {"user"})):
        raise ConfigurationError(f"unknown reset option {unknown[0]!r}; the only one is 'user'")
    user = options["user"]
    index = world.population.index.get(user) if isinstance(user, str) else None
    if isinstance(user, int | np.integer) and not isinstance(user, bool):
        index = int(user)
    if index is None or not 0 <= index < len(world.population):
        raise ConfigurationError(f"the population of {len(world.population)} has no user {user!r}")
    return index
