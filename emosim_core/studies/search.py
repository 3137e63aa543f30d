"""Search: Optuna proposes the next configurations of a sweep, from what came out of those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.model.frozen import Frozen

_UNINFORMED = 10
"""Trials drawn at random before the sampler learns; Optuna's own default."""


class Range(Frozen):
    """Numbers from ``low`` to ``high``, both included; whole ones where both are whole."""

    low: int | float = Field(description="Smallest value.")
    high: int | float = Field(description="Largest value.")
    log: bool = Field(default=False, description="Draw from the logarithms.")
    step: int | float | None = Field(default=None, gt=0, description="Distance of the values that are tried.")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0 and no step")
        if self.whole and isinstance(self.step, float):
            raise ValueError("a step of whole numbers is whole")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class SearchPlan(Frozen):
    """What is searched for: the configuration with the best metric, in a space of fields."""

    metric: str = Field(description="Metric of the table that is to be best, the mean over the seeds.")
    direction: Literal["maximize", "minimize"] = Field(default="maximize", description="Which way is better.")
    trials: int = Field(ge=1, description="Configurations that are tried.")
    at_once: int = Field(
        default=4, ge=1, description="Configurations that are chosen together, from what is known before them."
    )
    seed: int = Field(default=42, ge=0, le=2**32 - 1, description="Seed of the choices.")
    space: dict[str, list[Any] | Range] = Field(
        min_length=1, description="Fields, each with a list of values or a range {low, high, log, step}."
    )

    @field_validator("space")
    @classmethod
    def _some_values(cls, space: dict[str, list[Any] | Range]) -> dict[str, list[Any] | Range]:
        for name, values in space.items():
            if not values:
                raise ValueError(f"{name!r} has no value")
        return space


class Search:
    """Trials of a search. The same plan and the same metrics propose the same configurations.

    The sampler is the tree-structured Parzen estimator (Bergstra, Bardenet, Bengio & Kegl, 2011, "Algorithms for
    hyper-parameter optimization", NeurIPS), as Optuna has it.

    Raises:
        MissingDependencyError: Optuna is not installed.
    """

    def __init__(self, plan: SearchPlan) -> None:
        try:
            import optuna
        except ImportError as error:
            raise MissingDependencyError("a search", "optuna", 'pip install "emosim-core[search]"') from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.plan = plan
        sampler = optuna.samplers.TPESampler(seed=plan.seed, n_startup_trials=_UNINFORMED)
        self._failed = optuna.trial.TrialState.FAIL
        self._study = optuna.create_study(sampler=sampler, direction=plan.direction)
        self._open: list[Any] = []
        self._asked = 0

    def ask(self) -> list[dict[str, Any]]:
        """Fields of the next configurations, at most ``at_once``; empty when all trials were asked for."""
        count = min(self.plan.at_once, self.plan.trials - self._asked)
        self._asked += count
        self._open = [self._study.ask() for _ in range(count)]
        return [{name: _suggested(trial, name, values) for name, values in self.plan.space.items()}
                for trial in self._open]  # fmt: skip

    def tell(self, values: Sequence[float | None]) -> None:
        """What came out of the configurations that were asked for last, in their order; None where nothing did."""
        for trial, value in zip(self._open, values, strict=True):
            if value is None:
                self._study.tell(trial, state=self._failed)
            else:
                self._study.tell(trial, value)


def best_of(plan: SearchPlan, metrics: Sequence[Mapping[str, Mapping[str, float] | None]]) -> int | None:
    """Which configuration is the best, from 0, the first of equals; None where none has the metric."""
    sign = 1.0 if plan.direction == "maximize" else -1.0
    scored = ((place, one[plan.metric]) for place, one in enumerate(metrics))
    values = {place: sign * metric["mean"] for place, metric in scored if metric is not None}
    return max(values, key=lambda place: values[place]) if values else None


def check_metric(plan: SearchPlan, known: Sequence[str], where: str) -> None:
    """See that the metric is one of the table; a ConfigurationError lists those that are."""
    if plan.metric not in known:
        raise ConfigurationError(f"{where}: search: no metric {plan.metric!r}; expected one of {', '.join(known)}")


def _suggested(trial: Any, name: str, values: Sequence[Any] | Range) -> Any:
    if not isinstance(values, Range):
        return values[trial.suggest_categorical(name, list(range(len(values))))]
    if values.whole:
        return trial.suggest_int(name, values.low, values.high, step=int(values.step or 1), log=values.log)
    return trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log)
