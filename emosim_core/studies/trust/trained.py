"""Recommenders that are trained on simulated users: on those who are fitted to the log that the others learn from."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.fitting.directory import write_fitted
from emosim_core.fitting.people import fit_users
from emosim_core.hooks import Registry
from emosim_core.hooks.component import Component
from emosim_core.hooks.names import Request, checked_options, written_options
from emosim_core.model import Catalog, Domain
from emosim_core.model.frozen import Frozen, option
from emosim_core.recommenders.recommender import MODEL, need_train, save_recommender
from emosim_core.runs.job import now
from emosim_core.simulation.assembly import assemble
from emosim_core.training.algorithms import ALGORITHMS
from emosim_core.training.config import OF_SLATES, TrainConfig

ONE_ITEM = tuple(name for name in ALGORITHMS if name not in OF_SLATES)
"""The algorithms that learn to recommend one item at a time: the names of these recommenders."""


class TrainedOptions(Frozen):
    """Options of a recommender that is trained; all others are those of ``emosim train``."""

    timesteps: int = option(5_000, "Training steps over all environments.", ge=1, unit="steps")


def training_of(name: str, seed: int) -> TrainConfig | None:
    """The training that a name such as ``dqn`` or ``dqn:timesteps=2000`` stands for; None where it is none.

    Raises:
        ConfigurationError: an option of it is wrong.
    """
    request = Request.read(name)
    if request.name not in ONE_ITEM:
        return None
    options = f"{__name__}:TrainedOptions"
    component = Component(request.name, "", options, options=options, kind="policy")
    given = checked_options(TrainedOptions, written_options(component, request), component.title)
    made = {"plugin": "", "policy_net": "mlp", "device": "cpu", "user_split": "all"}
    return TrainConfig(**{**made, "algo": request.name, "seed": seed, "timesteps": given.timesteps})


def train_on(
    config: TrainConfig, log: Interactions, catalog: Catalog, domain: Domain, registry: Registry, folder: Path
) -> dict[str, str]:
    """Fit users to a log, train on them, and return the policy that recommends by what was learned.

    Args:
        catalog: the items that are recommended; what other users say of them is replaced by what those of the log say.
        folder: a place for the files of users and network.

    Raises:
        EmoSimError: the log is too small, the training diverges, or a library of the extras ``fit`` and ``train`` is
            not installed.
    """
    need_train(f"the recommender {config.algo!r}")
    from emosim_core.recommenders.networks import torch_threads
    from emosim_core.recommenders.weights import actor_bytes, check_finite
    from emosim_core.simulation.vector_env import EmoSimVectorEnv
    from emosim_core.training.policies import make_model, make_net
    from emosim_core.training.trainer import describe_recommender
    from emosim_core.training.vec_env import StableBaselines3VecEnv

    users = folder / "users"
    present, rows = np.unique(log.users, return_inverse=True)  # who took nothing is no user to be fitted
    log = replace(log, user_ids=tuple(log.user_ids[user] for user in present.tolist()), users=rows)
    fitted = fit_users(log, catalog, domain, config.seed)
    about = {"created": now(), "anonymous": False, "seed": config.seed, "fit": {}, "log": {}, "versions": {}}
    write_fitted(users, fitted, {**about, "can": (), "cannot": ()})
    config = config.model_copy(
        update={"plugin": domain.name, "user_dataset": f"fitted:{users}", "rater": f"fitted:{users}"}
    )
    with closing(assemble(config.environment, registry, catalog=fitted.catalog)) as world:
        net = make_net(config, world)
        env = EmoSimVectorEnv(num_envs=config.num_envs, autoreset_mode="SameStep", world=world)
        model = make_model(config, net, StableBaselines3VecEnv(env, net.options.keys, 1.0 / domain.scale.high))
        with torch_threads(config.threads):
            model.learn(config.timesteps)
        try:
            check_finite(model.policy.actor().state_dict())
        except ValueError as error:
            raise ConfigurationError(
                f"the training of {config.algo} has diverged; train it for fewer timesteps"
            ) from error
        place = folder / MODEL
        save_recommender(
            place, describe_recommender(config, world, net, model.num_timesteps), actor_bytes(model.policy.actor())
        )
    return {"name": "trained", "path": str(place)}
