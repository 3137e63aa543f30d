"""EmoSimVectorEnv: many simulated users as a Gymnasium vector environment, stepped as one batch."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from emosim_core.components.base import Observations
from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Registry
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.simulation.actions import Actions, ActionSpace
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Engine, Step, item_indices
from emosim_core.simulation.env import chosen_user, make_world
from emosim_core.simulation.info import RENDER_MODES, checked_render_mode, rendered, step_info, user_info


class EmoSimVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """B users answer a recommender together. Slot i equals an :class:`EmoSimEnv` that was seeded with ``seed + i``.

    Only the order of users differs: with ``user_order="sequential"``, episode e of slot i is about
    user ``(e * B + i) mod U`` of those chosen, so that a batch goes through all of them once.

    ``info`` holds arrays: ``raw_ratings`` and ``consumed``, shape ``(B, S)``, NaN and False where nothing
    happened, with a choice model that comes before rating also ``examined`` and ``clicked``, and, in the step in which
    an episode ends, ``end_reason`` with the reason. :meth:`describe` tells the last step of one slot in names and
    words. In the mode ``SAME_STEP``, ``final_obs`` and
    ``final_info`` hold what the episode ended with.

    Attributes:
        observed: the parts of an observation that are made, for who reads no others; None for all.

    Args:
        plugin: the domain; this and what is not named here is as in :class:`EmoSimEnv`.
        num_envs: B.
        action_space: ``"items"`` or ``"scores"``, see :class:`~emosim_core.simulation.actions.Actions`.
        autoreset_mode: when a slot whose episode ended begins the next: ``NEXT_STEP`` (default), in
            which the following call ignores its action, or ``SAME_STEP``.

    Raises:
        EmoSimError: something that the configuration names is wrong or missing.
    """

    _owns_world = False
    """Also where arguments are refused: gymnasium 1.1 closes what was never made."""

    def __init__(
        self,
        plugin: str | None = None,
        num_envs: int = 1,
        *,
        action_space: ActionSpace = "items",
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        world: World | None = None,
        registry: Registry | None = None,
        **options: Any,
    ) -> None:
        if num_envs < 1:
            raise ConfigurationError(f"num_envs must be at least 1, got {num_envs}")
        self._mode = AutoresetMode(autoreset_mode)
        if self._mode is AutoresetMode.DISABLED:
            raise ConfigurationError("autoreset_mode is NEXT_STEP or SAME_STEP")
        self.metadata = {"autoreset_mode": self._mode, "render_modes": list(RENDER_MODES), "render_fps": 4}
        self.render_mode = checked_render_mode(render_mode)
        self.num_envs = num_envs
        self._owns_world = world is None
        self.world = make_world(plugin, world, registry, options, type(self))
        self.engine = Engine(self.world, num_envs)
        self._actions = Actions(action_space, self.world, self.engine)
        self.single_action_space = self._actions.space
        self.single_observation_space = spaces.Dict(dict(self.engine.observation_parts))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.observed: Sequence[str] | None = None
        self._chosen_signals = () if self.world.choice.rates_first else ("examined", "clicked")
        self._rows = self.engine.all_rows
        self._seeds: list[int] = []
        self._episodes = np.zeros(num_envs, dtype=np.intp)
        self._over = np.zeros(num_envs, dtype=np.bool_)
        self._last: Step | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin an episode in every slot.

        Args:
            seed: slot i gets ``seed + i``, or the i-th of a sequence; each starts its episodes anew.
            options: ``{"user": id or index}`` puts this user into every slot; a list of one id, index or None per
                slot puts each into theirs, None leaves the slot to ``user_order``.

        Raises:
            ConfigurationError: a wrong number of seeds, a negative one, an unknown option or an unknown user.
        """
        chosen = self._chosen(options)
        given: list[int | None]
        if seed is None or isinstance(seed, int | np.integer):
            given = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            given = [None if own is None else int(own) for own in seed]
        if len(given) != self.num_envs:
            raise ConfigurationError(f"{self.num_envs} environments need as many seeds, got {len(given)}")
        if any(own is not None and own < 0 for own in given):
            raise ConfigurationError(f"a seed must not be negative, got {seed!r}")
        if not self._seeds:
            self._seeds = [secrets.randbits(63) for _ in given]
            self._episodes[:] = -1
        for slot, own in enumerate(given):
            self._episodes[slot] = self._episodes[slot] + 1 if own is None else 0
            self._seeds[slot] = self._seeds[slot] if own is None else own
        self._begin(self._rows, chosen)
        self._over[:] = False
        self._last = None
        infos = [user_info(self.world, int(user)) for user in self.engine.users]
        about = {key: np.array([one[key] for one in infos], dtype=object) for key in infos[0]}
        return self.engine.observe(keys=self.observed), about

    def reset_slot(
        self, slot: int, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin an episode in one slot, as :meth:`EmoSimEnv.reset` does; the others go on.

        Returns:
            The observation and info of this slot.

        Raises:
            ConfigurationError: a negative seed, an unknown option or user, or :meth:`reset` was not called.
        """
        chosen = chosen_user(self.world, options)
        if not self._seeds:
            raise ConfigurationError("call reset() before reset_slot()")
        if seed is not None and seed < 0:
            raise ConfigurationError(f"a seed must not be negative, got {seed!r}")
        self._seeds[slot] = self._seeds[slot] if seed is None else int(seed)
        self._episodes[slot] = self._episodes[slot] + 1 if seed is None else 0
        rows = np.array([slot])
        self._begin(rows, [chosen])
        self._over[slot] = False
        seen = self.engine.observe(rows, self.observed)
        info = user_info(self.world, int(self.engine.users[slot]))
        return {key: value[0] for key, value in seen.items()}, {**info, "episode": int(self._episodes[slot])}

    def _chosen(self, options: dict[str, Any] | None) -> list[int | None]:
        """The user of each slot that ``reset(options=...)`` chooses."""
        users = (options or {}).get("user")
        if not isinstance(users, list | tuple | np.ndarray):
            return [chosen_user(self.world, options)] * self.num_envs
        if len(users) != self.num_envs:
            raise ConfigurationError(f"{self.num_envs} environments need as many users, got {len(users)}")
        others = {key: value for key, value in (options or {}).items() if key != "user"}
        return [chosen_user(self.world, others if user is None else {**others, "user": user}) for user in users]

    def step(self, actions: Any) -> tuple[Observations, Floats, Flags, Flags, dict[str, Any]]:
        """Recommend items to everyone.

        Args:
            actions: item indices, shape ``(B,)``, or ``(B, S)`` with a slate of S; scores of items, shape ``(B, N)``.

        Returns:
            Observations, rewards, terminated, truncated (each with B as the first axis) and infos.

        Raises:
            ConfigurationError: :meth:`reset` was not called, or an action is no item index, or no scores.
            RatingError: the rater failed and ``on_failed_rating`` is ``"raise"``.
        """
        if not self._seeds:
            raise ConfigurationError("call reset() before step()")
        actions = self._actions.items(actions, self.num_envs)
        begin = np.flatnonzero(self._over)  # slots whose episode ended in the call before, in the mode NEXT_STEP
        if not len(begin):
            step = self._last = self.engine.step(actions)
            infos: dict[str, Any] = _signals(step)
            self._finish(infos, step, step.rows)
            return self.engine.observe(keys=self.observed), step.rewards, step.terminated, step.truncated, infos
        actions = item_indices(actions, self.num_envs, self.engine.slate)
        act = np.flatnonzero(~self._over)
        self._over = np.zeros(self.num_envs, dtype=np.bool_)
        infos = {"raw_ratings": np.full(actions.shape, np.nan)}
        infos |= {name: np.zeros(actions.shape, dtype=np.bool_) for name in ("consumed", *self._chosen_signals)}
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, dtype=np.bool_), np.zeros(self.num_envs, dtype=np.bool_)
        self._next(begin)
        self._last = None
        if len(act):
            step = self._last = self.engine.step(actions[act], act)
            rewards[act], terminated[act], truncated[act] = step.rewards, step.terminated, step.truncated
            for name, values in _signals(step).items():
                infos[name][act] = values
            self._finish(infos, step, act)
        return self.engine.observe(keys=self.observed), rewards, terminated, truncated, infos

    def _finish(self, infos: dict[str, Any], step: Step, rows: Ints) -> None:
        """End the episodes that ended in a step of the slots ``rows``."""
        ended = step.end_codes.nonzero()[0]
        if not len(ended):
            return
        slots = rows[ended]
        names = np.full(self.num_envs, None, dtype=object)
        names[slots] = [step.end_reason(row) for row in ended.tolist()]
        over = np.zeros(self.num_envs, dtype=np.bool_)
        over[slots] = True
        infos["end_reason"], infos["_end_reason"] = names, over
        self.engine.end(slots)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._over = over
            return
        last = self.engine.observe(slots, self.observed)
        final = np.full(self.num_envs, None, dtype=object)
        for r, slot in enumerate(slots.tolist()):
            final[slot] = {key: value[r] for key, value in last.items()}
        infos["final_info"] = {"end_reason": names, "_end_reason": over, **_signals(step)}
        infos["final_obs"], infos["_final_obs"], infos["_final_info"] = final, over, over
        self._next(slots)

    def _next(self, slots: Ints) -> None:
        self._episodes[slots] += 1
        self._begin(slots, [None] * len(slots))

    def _begin(self, slots: Ints, chosen: Sequence[int | None]) -> None:
        """Begin the next episode of some slots, with the user of each that was chosen."""
        episodes = self._episodes[slots].tolist()
        seeds = [self._seeds[slot] for slot in slots.tolist()]
        if self.world.config.user_order == "sequential":
            among = self.world.user_indices
            users = among[(np.array(episodes) * self.num_envs + slots) % len(among)].tolist()
        else:
            users = [self.engine.user_of(*pair) for pair in zip(seeds, episodes, strict=True)]
        users = [one if user is None else user for one, user in zip(users, chosen, strict=True)]
        self.engine.begin(slots, seeds, episodes, users)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each slot; none before the first :meth:`reset`."""
        return tuple(self._seeds)

    def action_masks(self) -> Flags:
        """Which items each user does not remember, shape ``(B, N)``."""
        return ~self.engine.memory.consumed().view(np.bool_)

    def render(self) -> tuple[Any, ...] | None:
        """The last step of each slot in words, or as an image of shape ``(H, W, 3)``, as ``render_mode`` says."""
        return None if self.render_mode is None else tuple(map(self.render_slot, range(self.num_envs)))

    def render_slot(self, slot: int) -> str | NDArray[np.uint8] | None:
        """The last step of one slot, as :meth:`render` has it."""
        return None if self.render_mode is None else rendered(self.world, self._last_info(slot), self.render_mode)

    def _last_info(self, slot: int) -> dict[str, Any] | None:
        places = [] if self._last is None else np.flatnonzero(self._last.rows == slot).tolist()
        return step_info(self.world, self._last, places[0]) if self._last is not None and places else None

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of what the world holds on to, unless it was given to more than this environment."""
        if self._owns_world:
            self.world.close()

    def describe(self, slot: int) -> dict[str, Any]:
        """The last step of one slot, see :func:`~.info.step_info`; a ConfigurationError where there is none."""
        info = self._last_info(slot)
        if info is None:
            raise ConfigurationError(f"slot {slot} took no step since its episode began")
        return info


def _signals(step: Step) -> dict[str, Any]:
    """What an info holds of a step for each place of the slates."""
    chosen = {} if step.clicked is None else {"examined": step.examined, "clicked": step.clicked}
    return {"raw_ratings": step.raw_ratings, "consumed": step.consumed, **chosen}
