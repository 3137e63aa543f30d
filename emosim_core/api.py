"""Functions that a program starts with: environments, and what the commands compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosim_core.recommenders.recommender import Recommendation
    from emosim_core.reports.results import Results
    from emosim_core.simulation.env import EmoSimEnv
    from emosim_core.simulation.vector_env import EmoSimVectorEnv


def make(plugin: str, **options: Any) -> EmoSimEnv:
    """A Gymnasium environment of one simulated user; arguments and errors as of :class:`EmoSimEnv`.

    ``options`` are ``action_space``, ``render_mode``, ``registry``, and the fields of
    :class:`~emosim_core.simulation.config.EnvironmentConfig`, such as ``slate=3`` or ``items_retrieval="last_3"``.
    """
    from emosim_core.simulation.env import EmoSimEnv

    return EmoSimEnv(plugin, **options)


def make_vec(plugin: str, num_envs: int = 1, **options: Any) -> EmoSimVectorEnv:
    """A Gymnasium vector environment of ``num_envs`` simulated users who are stepped as one batch.

    ``options`` are ``action_space``, ``autoreset_mode``, ``registry``, and the fields of
    :class:`~emosim_core.simulation.config.EnvironmentConfig`; errors as of :func:`make`.
    """
    from emosim_core.simulation.vector_env import EmoSimVectorEnv

    return EmoSimVectorEnv(plugin, num_envs, **options)


def run(
    plugin: str,
    out: str | Path,
    *,
    resume: bool = False,
    executor: str | Mapping[str, Any] = "local",
    **options: Any,
) -> Results:
    """Simulate episodes of a recommender with simulated users, as ``emosim run`` does.

    ``plugin`` is the domain, such as ``"movies"``; ``out`` the directory of the run, which is continued with
    ``resume``; ``executor`` where blocks of episodes are simulated; ``options`` are fields of
    :class:`~emosim_core.simulation.config.RunConfig`. Returns what summary.json holds.

    Raises:
        EmoSimError: something that the options name is wrong or missing, or the run cannot be written.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.results import Results
    from emosim_core.runs.cells import executor_of
    from emosim_core.runs.runner import Run
    from emosim_core.simulation.config import RunConfig, read_config

    check_names("run", options, (RunConfig,), run)
    registry = Registry()
    where = executor_of(executor, registry)
    config = read_config(RunConfig, {"plugin": plugin, **options}, "run")
    return Results(Run(config, Path(out), resume, registry).run(executor=where), out)


def train(
    plugin: str,
    out: str | Path,
    *,
    resume: bool = False,
    executor: str | Mapping[str, Any] = "local",
    **options: Any,
) -> Results:
    """Train a recommender on simulated users, as ``emosim train`` does; arguments as of :func:`run`.

    Args:
        executor: where the trainings of ``num_seeds`` seeds are done, such as ``"processes:2"``.
        options: fields of :class:`~emosim_core.training.config.TrainConfig`, such as ``algo="ppo"``.

    Returns:
        What summary.json holds, or results.json with more than one seed.

    Raises:
        EmoSimError: something that the options name is wrong or missing, or the training cannot be written.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.results import Results
    from emosim_core.runs.job import JobDirectory
    from emosim_core.simulation.config import read_config
    from emosim_core.studies.seeds import train_seeds
    from emosim_core.training.config import TrainConfig
    from emosim_core.training.trainer import Training

    check_names("train", options, (TrainConfig,), train)
    config: TrainConfig = read_config(TrainConfig, {"plugin": plugin, **options}, "train")
    if config.num_seeds > 1:
        job = JobDirectory(Path(out), "train", resume=resume)
        return Results(train_seeds(config, job, Registry(), executor), out)
    return Results(Training(config, Path(out), resume).train(), out)


def evaluate(
    plugin: str,
    out: str | Path,
    *,
    resume: bool = False,
    charts: bool = True,
    executor: str | Mapping[str, Any] = "local",
    **options: Any,
) -> Results:
    """Compare recommenders on the same users and seeds, as ``emosim evaluate`` does; arguments as of :func:`run`.

    Args:
        charts: whether to draw charts, which needs matplotlib.
        executor: where the runs are simulated, such as ``"processes:4"``.
        options: fields of :class:`~emosim_core.EvaluationConfig`, such as ``policies=["random", "popular"]`` or
            ``recommenders=["runs/a"]``. The environment of the first of ``recommenders`` is the default.

    Returns:
        What evaluation.json holds. ``["user_splits"][SPLIT]["recommenders"][NAME]["metrics"][METRIC]`` has
        ``estimate``, ``low`` and ``high``, the ends of the 95 % interval; None where a metric has none.

    Raises:
        EmoSimError: an option is wrong, a recommender cannot be made, or the directory cannot be used. Episodes that
            were simulated are kept.
    """
    from emosim_core.evaluation import evaluate as evaluation
    from emosim_core.evaluation.plan import EvaluationConfig
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.evaluation_report import drawing
    from emosim_core.reports.results import Results

    check_names("evaluate", options, (EvaluationConfig,), evaluate)
    values = {"plugin": plugin, **options}
    return Results(evaluation.evaluate(values, out, resume=resume, executor=executor, draw=drawing(charts)), out)


def validate(
    plugin: str,
    out: str | Path,
    *,
    ratings: str,
    resume: bool = False,
    executor: str | Mapping[str, Any] = "local",
    **options: Any,
) -> Results:
    """Measure how close simulated users are to real ones, as ``emosim validate`` does; arguments as of :func:`run`.

    A language model, where one is named, is called without further confirmation; ``gateway={"max_cost": ...}`` bounds
    what it may cost. Returns what validation.json holds; with ``audit=True`` the rater is audited, and it is what
    audit.json holds.

    Args:
        ratings: a log of real users, such as ``"movielens:ml-latest-small"``.
        executor: where the folds are measured, such as ``"processes:2"``.
        options: ``folds``, ``test_users``, ``split``, ``max_users``, ``only``, ``negatives``, ``max_positives``,
            ``max_heldout``, ``max_questions``, ``audit``, ``checks``, ``seed``, and the fields of
            :class:`~emosim_core.EnvironmentConfig` that say who rates, such as ``rater``.

    Raises:
        EmoSimError: an option is wrong, the ratings cannot be read or are of too few users, or the directory cannot be
            used.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.results import Results
    from emosim_core.studies.validation.validation import Validation, ValidationConfig

    check_names("validate", options, Validation.models(), validate)
    config = ValidationConfig.read({"plugin": plugin, "ratings": ratings, **options}, "validate")
    if config.audit:
        from emosim_core.studies.audit.audit import Audit

        audit = Audit(config, Registry())
        with closing(audit.world):
            return Results(audit.run(Path(out), resume=resume, executor=executor), out)
    validation = Validation(config, Registry())
    with closing(validation.world):
        return Results(validation.run(Path(out), resume=resume, executor=executor), out)


def fit(
    plugin: str,
    out: str | Path,
    *,
    ratings: str,
    validate: bool = False,
    executor: str | Mapping[str, Any] = "local",
    **options: Any,
) -> Results:
    """Learn simulated users from a log of real ones, as ``emosim fit`` does, for ``users="fitted:OUT"``.

    Args:
        plugin: the domain, such as ``"movies"``.
        out: the directory of the users, which must not be there, or be empty. Where it holds those of an equal
            call that was interrupted in its validation, that goes on.
        ratings: a log of real users, such as ``"movielens:ml-latest-small"``.
        validate: whether to measure the users beside baselines.
        executor: where the folds of that are measured, such as ``"processes:2"``.
        options: ``items``, ``columns``, ``embeddings``, ``anonymous``, ``keep_histories``, ``folds`` and ``seed``.

    Returns:
        What card.json holds.

    Raises:
        EmoSimError: an option is wrong, the log cannot be read or is too small, or the directory cannot be used.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.make import write_report
    from emosim_core.reports.results import Results
    from emosim_core.simulation.config import read_config
    from emosim_core.studies.fit import FitConfig, Fitting, card_of

    check_names("fit", options, (FitConfig,), fit)
    registry, place = Registry(), Path(out)
    fitting = Fitting(read_config(FitConfig, {"plugin": plugin, "ratings": ratings, **options}, "fit"), registry)
    card = card_of(place) if fitting.is_written(place) else fitting.write(place)
    if validate and card["validation"] is None:
        card = fitting.validate(place, executor=executor)
    write_report(place, registry=registry)
    return Results(card, out)


def distill(plugin: str, out: str | Path, *, resume: bool = False, **options: Any) -> Results:
    """Fit simulated users to the answers of a language model or another rater, as ``emosim distill`` does.

    A language model is called without further confirmation, as by :func:`validate`. The users are for
    ``users="fitted:OUT"``.

    Args:
        plugin: the domain, such as ``"movies"``.
        out: the directory of the users.
        resume: whether to continue the distillation in ``out``.
        options: ``max_questions``, ``per_user``, ``per_item``, ``heldout_fraction``, ``seed``, and the fields of
            :class:`~emosim_core.EnvironmentConfig` that say who rates what, such as ``llm_model``.

    Returns:
        What card.json holds; ``["distillation"]["models"]["fitted"]["rmse"]`` has ``estimate``, ``low`` and ``high``
        of the distance between the two on held-out answers, in points of the scale.

    Raises:
        EmoSimError: an option is wrong, too few questions were answered, or the directory cannot be used.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.make import write_report
    from emosim_core.reports.results import Results
    from emosim_core.studies.distill import Distillation, DistillConfig

    check_names("distill", options, Distillation.models(), distill)
    registry = Registry()
    distillation = Distillation(DistillConfig.read({"plugin": plugin, **options}, "distill"), registry)
    with closing(distillation.world):
        card = distillation.run(Path(out), resume=resume)
    write_report(Path(out), registry=registry)
    return Results(card, out)


def prompt_bench(
    plugin: str,
    out: str | Path,
    *,
    ratings: str,
    llm_rater: str | Sequence[str | dict[str, Any]] = "all",
    resume: bool = False,
    **options: Any,
) -> Results:
    """Measure how well prompt strategies make a language model rate as real users do, as ``emosim prompt-bench`` does.

    The language model is called without further confirmation, as by :func:`validate`. Returns what prompts.json holds.

    Args:
        plugin: the domain, such as ``"movies"``.
        out: the directory of the bench.
        ratings: a log of real users, such as ``"movielens:ml-latest-small"``.
        llm_rater: the prompt strategies, as a list or with commas between; ``"all"`` for all that there are.
        resume: whether to continue the bench in ``out``.
        options: ``split``, ``max_users``, ``max_heldout``, ``max_questions``, ``items``, ``columns``, ``seed``, and the
            fields of :class:`~emosim_core.EnvironmentConfig` that say which model rates, such as ``llm_model``.

    Raises:
        EmoSimError: an option is wrong, no language model is named, or the directory cannot be used.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.results import Results
    from emosim_core.studies.ablation.grid import choices
    from emosim_core.studies.prompts.bench import PromptBench, PromptBenchConfig

    check_names("prompt_bench", options, PromptBench.models(), prompt_bench)
    values = {"plugin": plugin, "ratings": ratings, "strategies": choices(llm_rater), **options}
    bench = PromptBench(PromptBenchConfig.read(values, "prompt_bench"), Registry())
    with closing(bench.world):
        return Results(bench.run(Path(out), resume=resume), out)


def judge(plugin: str, out: str | Path, *, ratings: str, resume: bool = False, **options: Any) -> Results:
    """Test whether a judge can tell ratings of simulated users from those of real ones, as ``emosim judge`` does.

    Language models are called without further confirmation; ``judging={"max_cost": ...}`` bounds what they may cost.
    Returns what judge.json holds.

    Args:
        plugin: the domain, such as ``"movies"``.
        out: the directory of the test.
        ratings: a log of real users, such as ``"movielens:ml-latest-small"``.
        resume: whether to continue the test in ``out``.
        options: ``judge_model``, ``max_users``, ``history``, ``earlier``, ``max_questions``, ``judging``, ``items``,
            ``columns``, ``seed``, and the fields of :class:`~emosim_core.EnvironmentConfig` that say who rates.

    Raises:
        EmoSimError: an option is wrong, the log has too few users, or the directory cannot be used.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import check_names
    from emosim_core.reports.results import Results
    from emosim_core.studies.believability.believability import Believability, BelievabilityConfig

    check_names("judge", options, Believability.models(), judge)
    config = BelievabilityConfig.read({"plugin": plugin, "ratings": ratings, **options}, "judge")
    with closing(Believability(config, Registry())) as test:
        return Results(test.run(Path(out), resume=resume), out)


def ablate(
    plugin: str,
    out: str | Path,
    *,
    resume: bool = False,
    executor: str | Mapping[str, Any] = "local",
    **options: Any,
) -> Results:
    """Run ablation studies over raters, prompts, retrieval strategies and noise, as ``emosim ablate`` does.

    A language model, where one is named, is called without further confirmation; ``gateway={"max_cost": ...}`` bounds
    what it may cost. Arguments are as of :func:`run`. Returns what results.json holds.

    Args:
        resume: whether to continue the ablation in ``out``; the grid is then the stored one, and an option that is
            given must equal it.
        executor: where the jobs are done, such as ``"processes:4"``.
        options: the axes of the grid, ``rater``, ``llm_model``, ``llm_rater``, ``items_retrieval`` and ``perturbator``,
            each one component or a list; ``studies``, one or a list; ``seed`` and ``num_seeds``; and fields of
            :class:`~emosim_core.EnvironmentConfig` that all variants share.

    Raises:
        EmoSimError: an option is wrong, or the directory cannot be used. Jobs that were done are kept.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field, check_names
    from emosim_core.reports.results import Results
    from emosim_core.runs.cells import executor_of
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.ablation.ablation import Ablation, resumed
    from emosim_core.studies.ablation.grid import AblationConfig, choices, given_again, read_grid

    check_names("ablate", options, (EnvironmentConfig, AblationConfig), ablate)
    registry = Registry()
    if "rater" in options:
        options["rater"] = choices(options["rater"])
    values = by_field(AblationConfig, by_field(EnvironmentConfig, {"plugin": plugin, **options}))
    if resume:
        ablation = resumed(Path(out), registry, given=given_again(values))
    else:
        ablation = Ablation(read_grid(values), Path(out), registry)
    return Results(ablation.run(executor_of(executor, registry)), out)


def report(
    directory: str | Path,
    out: str | Path | None = None,
    *,
    charts: str | Path | None = None,
    prompts: bool = False,
    given: Mapping[str, Any] | None = None,
) -> Path:
    """Write a report as one HTML file that needs no network, as ``emosim report`` does.

    Args:
        directory: a run, a training, an evaluation, an ablation or a validation, or a directory with a ``page.json``.
        out: the file to write; ``report.html`` in the directory if not given.
        charts: directory for the charts as PNG and SVG; none are written if not given.
        prompts: whether to show each prompt and raw answer of a run with a language model, from its transcript.
        given: fields of the configuration that a run from elsewhere may not choose.

    Returns:
        The file.

    Raises:
        ConfigurationError: ``prompts`` is set for something else than a run with a transcript.
        MissingDependencyError: a package of the extra ``report`` is not installed.
        EmoSimError: the directory holds nothing to report or is damaged, or the file cannot be written.
    """
    from emosim_core.reports.make import write_report

    return write_report(directory, out, charts=charts, prompts=prompts, given=given)


def recommend(
    directory: str | Path,
    history: Iterable[tuple[str, float | None]],
    k: int = 10,
    *,
    user: str | None = None,
    traits: Sequence[int] | None = None,
    mood: tuple[float, float] = (0.0, 0.0),
) -> list[Recommendation]:
    """Recommend items by what a user consumed, without the simulator, as ``emosim recommend`` does.

    :func:`load_recommender` loads a recommender once for many calls of
    :meth:`~emosim_core.recommenders.recommender.Recommender.recommend`, which describes the other arguments.

    Args:
        directory: a training, or the folder ``model`` or ``best`` in it.

    Raises:
        ConfigurationError: there is no recommender, or an item, a rating, a user or a trait is unknown.
        RunError: a file of the recommender is damaged.
        MissingDependencyError: a package of the extra ``train`` is not installed.
    """
    from emosim_core.recommenders.recommender import load_recommender

    return load_recommender(directory).recommend(history, k, user=user, traits=traits, mood=mood)


def register_environment(plugin: str) -> None:
    """Register a domain with Gymnasium, ``movies`` as ``EmoSim/Movies-v0``; its package calls this when imported."""
    import gymnasium

    name = f"EmoSim/{plugin.title().replace('_', '')}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(
            name,
            entry_point="emosim_core.simulation.env:EmoSimEnv",
            vector_entry_point="emosim_core.simulation.vector_env:EmoSimVectorEnv",
            kwargs={"plugin": plugin},
        )
