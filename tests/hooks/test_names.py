"""Names: every form in which a component is asked for, and what is said about a wrong one."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from emosim_core import ConfigurationError, RunConfig, UnknownNameError
from emosim_core.errors import OptionError
from emosim_core.hooks.names import Request, checked_options, nearest, package_hint, spelled, split_number
from emosim_core.plugins import Registry
from emosim_core.simulation.config import read_config, read_toml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry() -> Registry:
    made = Registry(only=["movies"])
    made.load("movies")
    return made


def options(registry: Registry, kind: str, spec: Any) -> dict[str, Any]:
    resolved = registry.resolve(kind, spec, "movies")
    return {} if resolved.options is None else resolved.options.model_dump()


@pytest.mark.parametrize(
    ("spec", "k", "time_decay"),
    [
        ("decay_emotion", 3, 0.15),
        ("decay_emotion_3", 3, 0.15),
        ("decay_emotion_12", 12, 0.15),
        (" decay_emotion_07 ", 7, 0.15),
        ("decay_emotion:k=5,time_decay=0.3", 5, 0.3),
        ("decay_emotion: k = 5 , time_decay = 3e-1 ", 5, 0.3),
        ("decay_emotion_4:time_decay=1", 4, 1.0),
        ({"name": "decay_emotion"}, 3, 0.15),
        ({"name": "decay_emotion_4", "time_decay": 0}, 4, 0.0),
        ({"name": "decay_emotion:k=5", "time_decay": 0.3}, 5, 0.3),
        ({"name": "decay_emotion", "k": 5, "time_decay": 0.3}, 5, 0.3),
    ],
)
def test_every_form_of_a_name_sets_its_options(registry: Registry, spec: Any, k: int, time_decay: float) -> None:
    built = options(registry, "retrieval", spec)
    assert (built["k"], built["time_decay"]) == (k, time_decay)


@pytest.mark.parametrize(
    "path", ["people.csv", "a=b.csv", "C:\\people.csv", "a,b=c.csv", "x:y", "path.csv", "spaces in it .csv", "n.csv=5"]
)
def test_what_follows_the_colon_is_a_path_whatever_it_holds(registry: Registry, path: str) -> None:
    assert str(options(registry, "user_loader", f"csv:{path}")["path"]) == path
    assert str(options(registry, "user_loader", {"name": "csv", "path": path})["path"]) == path
    assert options(registry, "policy", f"replay:{path}")["file"] == path


@pytest.mark.parametrize(
    ("spec", "options_of_it"),
    [
        ("replay:a.csv,file=b.csv", None),
        ("user_knn:runs/a,k=5,damping=1", {"logs": ("runs/a",), "k": 5, "damping": 1.0}),
        ("user_knn:runs/a,kk=5", {"logs": ("runs/a,kk=5",), "k": 150}),
        ("user_knn:runs/a,b,k=5", {"logs": ("runs/a,b",), "k": 5}),
        ("cornac:BPR", {"algorithm": "BPR"}),
        ("cornac:BPR,k=5,logs=a", {"algorithm": "BPR", "k": "5", "logs": ("a",)}),
        ("cornac:algorithm=BPR,k=5,logs=a", {"algorithm": "BPR", "k": "5", "logs": ("a",)}),
    ],
)
def test_options_may_follow_the_value_which_may_have_commas(
    registry: Registry, spec: str, options_of_it: dict[str, Any] | None
) -> None:
    given = spec if "logs" in spec or not spec.startswith("cornac") else {"name": spec, "logs": "a"}
    if options_of_it is None:
        with pytest.raises(ConfigurationError, match="'file' is given twice"):
            options(registry, "policy", given)
    else:
        made = options(registry, "policy", given)
        assert {name: made[name] for name in options_of_it} == options_of_it


def test_an_alias_names_the_same_component(registry: Registry) -> None:
    one, other = (registry.resolve("reward_shaping", name) for name in ("same_item_terminate", "same_film_terminate"))
    assert one.component is other.component


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("retrieval", "decay_emotoin_5", "Did you mean 'decay_emotion_5'"),
        ("retrieval", "lst", "Did you mean 'last'"),
        ("retrieval", "", "unknown retrieval strategy ''"),
        ("retrieval", ":k=3", "unknown retrieval strategy ''"),
        ("retrieval", "best_worst_3", "Did you mean 'best_worst'"),
        ("retrieval", "Decay_Emotion_3", "Did you mean 'decay_emotion_3'"),
        ("perturbator", "gausian", "Did you mean 'gaussian'"),
        ("selector", "gredy", "Did you mean 'greedy'"),
        ("policy", "popluar", "Did you mean 'popular'"),
        ("rater", "rulebased", "Did you mean 'rule_based'"),
        ("reward_shaping", "churn_satisfacton", "Did you mean 'churn_satisfaction'"),
        ("user_loader", "detaild", "Did you mean 'detailed'"),
        ("item_loader", "movilens:x", "Did you mean 'movielens'"),
        ("item_loader", "some/films.csv", "Did you mean 'csv:some/films.csv'? Known"),
        ("item_loader", "./ml", "Did you mean 'csv:./ml' or 'movielens:./ml' or"),
        ("user_loader", "people.CSV", "Did you mean 'csv:people.CSV'? Known"),
        ("policy", "runs/a", "Did you mean 'trained:runs/a'? Known"),
        ("policy", "list.txt", "Did you mean 'replay:list.txt'? Known"),
        (
            "policy",
            "zzzzzz",
            "'zzzzzz'. Known: cornac:ALGORITHM, epsilon_greedy, http_service:URL, implicit:ALGORITHM",
        ),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_names(
    registry: Registry, kind: str, spec: str, message: str
) -> None:
    with pytest.raises(UnknownNameError) as error:
        registry.resolve(kind, spec, "movies")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        (
            "retrieval",
            "decay_emotion:tme_decay=1",
            "unknown option 'tme_decay'. Did you mean 'time_decay'? Options: k,",
        ),
        ("retrieval", {"name": "last", "kk": 1}, "unknown option 'kk'. Did you mean 'k'"),
        ("retrieval", "decay_emotion:k=0", "option 'k': Input should be greater than or equal to 1 (got '0')"),
        ("retrieval", "decay_emotion_0", "option 'k': Input should be greater than or equal to 1 (got 0)"),
        ("retrieval", "last:k=three", "option 'k'"),
        ("retrieval", "last:k=", "option 'k'"),
        ("retrieval", "decay_emotion:consider_arousal=perhaps", "option 'consider_arousal'"),
        ("perturbator", "gaussian:sd=-1", "option 'sd'"),
        ("selector", "probabilistic:p=1.1", "option 'p'"),
        ("retrieval", "last:k=1,k=2", "the option 'k' is given twice"),
        ("retrieval", "last_3:k=2", "the option 'k' is given twice"),
        ("retrieval", {"name": "last_3", "k": 2}, "the option 'k' is given twice"),
        ("retrieval", {"name": "last:k=3", "k": 2}, "the option 'k' is given twice"),
        ("retrieval", "last:3", "expected option=value after the colon, got '3'"),
        ("retrieval", "last:", "expected option=value after the colon, got ''"),
        ("retrieval", "last:k=3,", "expected option=value after the colon, got ''"),
        ("retrieval", "none:k=1", "takes no options; remove 'k'"),
        ("retrieval", {"name": "none", "k": 1}, "takes no options; remove 'k'"),
        ("retrieval", {"k": 1}, "needs a 'name'"),
        ("retrieval", {"name": 3}, "needs a 'name'"),
        ("policy", "replay", "give file, a CSV file with a column 'item', or items"),
        ("policy", "replay:", "option 'file'"),
        ("user_loader", "fitted:people,cuont=1000", "unknown option 'cuont'. Did you mean 'count'?"),
        ("user_loader", "csv:people.csv,pth=1", "unknown option 'pth'. Did you mean 'path'?"),
        ("user_loader", "csv", "the option 'path' is needed"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_which(registry: Registry, kind: str, spec: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        registry.resolve(kind, spec, "movies")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_comma_and_an_equals_sign_in_the_name_of_a_file_are_no_option(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a,path=b.csv").write_text("")
    for name in ("a,path=b.csv", "a,users=b.csv"):
        (tmp_path / name).write_text("")
        resolved = registry.resolve("user_loader", {"name": "csv", "path": str(tmp_path / name)}, "movies")
        assert resolved.options.path == tmp_path / name  # type: ignore[union-attr]
    resolved = registry.resolve("user_loader", f"csv:{tmp_path / 'a,users=b.csv'}", "movies")
    assert resolved.options.path == tmp_path / "a,users=b.csv"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("domain", "books", "emosim-books"),
        ("llm_backend", "deepseek-chat", "emosim-deepseek"),
        ("llm_backend", "local:/models/x", "emosim-local-gpu"),
    ],
)
def test_the_package_that_would_bring_a_name_is_named(kind: str, name: str, package: str) -> None:
    hint = package_hint(kind, name)
    assert f"the package {package};" in hint
    (folder,) = re.findall(r"in a checkout: pip install -e (\S+)\.", hint)
    assert f'name = "{package}"' in (ROOT / folder / "pyproject.toml").read_text(encoding="utf-8")
    assert package_hint(kind, "unheard-of") == ""


def test_a_domain_that_is_not_installed_says_which_package_brings_it(quick: Any, uninstall: Any) -> None:
    uninstall("books")
    assert "pip install -e plugins/emosim_books" in quick("run", "--plugin", "books", status=2).err
    assert "Did you mean 'movies'" in quick("run", "--plugin", "movie", status=2).err
    assert "No plugin that is installed provides it" in quick("run", "--plugin", "songs", status=2).err


def test_a_file_without_its_loader_is_suggested_with_it(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'csv:h2\.csv'") as error:
        registry.resolve("item_loader", "h2.csv", "movies")
    assert error.value.suggestions == ("csv:h2.csv",)


def test_a_component_of_another_domain_is_unknown(registry: Registry) -> None:
    assert registry.resolve("retrieval", "simple_2", "movies").provider.name == "movies"
    with pytest.raises(UnknownNameError):
        registry.resolve("retrieval", "simple_2", "songs")


def test_an_exact_name_comes_before_a_trailing_number_of_the_same_plugin(quick: Any, install: Any) -> None:
    install(
        "exact",
        """
        from emosim_core.plugins import Component, hookimpl
        EMOSIM_HOOK_VERSION = 1

        @hookimpl
        def emosim_retrievals():
            here = "emosim_core.components.retrieval"
            yield Component("first", "s", f"{here}:Last", options=f"{here}:CountOptions", number="k")
            yield Component("first_3", "s", f"{here}:NoRetrieval")
        """,
    )
    registry = Registry()
    assert registry.resolve("retrieval", "first_3").component.name == "first_3"
    assert registry.resolve("retrieval", "first_4").component.name == "first"


def test_a_text_that_begins_with_a_prefix_is_the_value_as_it_stands(quick: Any, install: Any) -> None:
    install(
        "talk",
        """
        from emosim_core.plugins import Component, hookimpl
        from pydantic import BaseModel
        EMOSIM_HOOK_VERSION = 1

        class Options(BaseModel):
            model: str
            temperature: float = 0.0

        @hookimpl
        def emosim_llm_backends():
            where = "emosim_talk:Options"
            yield Component(
                "talk", "s", where, options=where, value="model", prefixes=("talk-", "gopher://")
            )
        """,
    )
    registry = Registry()
    for written, model in (
        ("talk-4:free", "talk-4:free"),
        ("gopher://127.0.0.1:8000/v1#m", "gopher://127.0.0.1:8000/v1#m"),
        ("talk:other", "other"),
        ("talk:model=a,temperature=1", "a"),
    ):
        assert registry.resolve("llm_backend", written).options.model == model
    backend = registry.resolve("llm_backend", {"name": "talk-4", "temperature": 0.5})
    assert (backend.options.model, backend.options.temperature) == ("talk-4", 0.5)


@given(st.text(), st.text())
def test_any_text_is_read_as_a_name_and_what_follows_the_first_colon(name: str, text: str) -> None:
    request = Request.read(f"{name}:{text}")
    head, _, tail = f"{name}:{text}".strip().partition(":")
    assert (request.name, request.text) == (head.strip(), tail)


@given(st.text(alphabet="ab_", min_size=1), st.integers(0, 10**9))
def test_a_trailing_number_is_split_off(name: str, number: int) -> None:
    assert split_number(f"{name}_{number}") == (name, number)
    assert split_number(name) is None


def test_names_that_look_alike_are_suggested_best_first() -> None:
    assert nearest("decay", ["decay_emotion", "last", "decays"]) == ["decays", "decay_emotion"]
    assert nearest("zzz", ["last"]) == []


# -------------------------------------------------------------------------------- configuration files


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("episods = 3", "unknown option 'episods'. Did you mean 'episodes'"),
        ("[mood]\nhalf_lif = 3", "unknown option 'mood.half_lif'. Did you mean 'half_life'"),
        ("episodes = 'many'", "option 'episodes'"),
        ("p_interrupt = 1.5", "option 'p_interrupt'"),
        ("user_order = 'alphabetical'", "option 'user_order'"),
        ("mood = 3", "option 'mood'"),
    ],
)
def test_a_mistake_in_a_configuration_file_is_refused_with_its_place(tmp_path: Path, toml: str, message: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'plugin = "movies"\n{toml}\n')
    with pytest.raises(ConfigurationError) as error:
        read_config(RunConfig, read_toml(path), str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_a_component_that_is_neither_a_name_nor_a_table_is_refused_by_its_field(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="option 'items_retrieval'"):
        read_config(RunConfig, {"plugin": "movies", "items_retrieval": 3})


def test_a_table_of_a_configuration_file_sets_the_options_of_a_component(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'plugin = "movies"\nepisodes = 1\nmax_steps = 2\n[items_retrieval]\n'
        'name = "decay_emotion"\nk = 2\ntime_decay = 0.5\n'
        '[user_dataset]\nname = "basic"\nn = 30\n[reward_shaping]\nname = "churn_satisfaction"\nlow_streak = 1\n'
    )
    quick("run", "--config", "c.toml", "--out", "r", "--quiet")
    parts = json.loads((tmp_path / "r" / "manifest.json").read_text())["parts"]
    assert parts["retrieval"]["options"] == {
        "k": 2, "time_decay": 0.5, "emotion_bonus": 0.2, "consider_arousal": False,
    }  # fmt: skip
    assert parts["user_loader"]["options"]["n"] == 30
    assert parts["reward_shaping"]["options"]["low_streak"] == 1


class Inner(BaseModel):
    """Options of a part."""

    share: float = Field(0.5, le=1)
    sizes: dict[str, list[int] | int] = Field(default_factory=dict)


class Outer(BaseModel):
    """Options with a part that may be absent."""

    inner: Inner | None = None
    table: dict[str, Inner] = Field(default_factory=dict)
    either: int | Inner = 1

    @model_validator(mode="after")
    def _fitting(self) -> Outer:
        if self.either == 7:
            raise ValueError("no seven")
        return self


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"inner": {"share": 2}}, "inner.share"),
        ({"table": {"a": {"share": 2}}}, "table.a.share"),
        ({"either": {"share": 2}}, "either.share"),
        ({"inner": {"sizes": {"x": "many"}}}, "inner.sizes.x"),
    ],
)
def test_a_wrong_value_in_a_nested_table_is_named_with_its_path(values: dict[str, Any], path: str) -> None:
    with pytest.raises(OptionError) as caught:
        checked_options(Outer, values, "plan.toml")
    assert (caught.value.where, caught.value.option) == ("plan.toml", path)
    assert str(caught.value) == f"plan.toml: option {path!r}: {caught.value.problem}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_what_is_wrong_with_all_of_a_table_names_no_option() -> None:
    with pytest.raises(ConfigurationError, match=r"^plan\.toml: no seven$"):
        checked_options(Outer, {"either": 7}, "plan.toml")
    with pytest.raises(ConfigurationError, match="option 'share': expected a finite number"):
        checked_options(Inner, {"share": float("-inf")}, "inner")


@pytest.mark.parametrize(
    "typed", ["linucb", "epsilon_greedy:epsilon=0.2", "user_knn:runs/a,k=5", "cornac:BPR,k=5,logs=a"]
)
def test_a_component_is_spelled_as_it_is_read(registry: Registry, typed: str) -> None:
    request = Request.read(typed)
    assert spelled(typed) == typed
    name, _, rest = typed.partition(",")
    table = {"name": name, **dict(part.split("=") for part in rest.split(",") if part)}
    assert spelled(table) == typed
    assert request.name == typed.partition(":")[0]


def test_a_registry_from_another_process_has_the_same_plugins_loaded(registry: Registry) -> None:
    again = pickle.loads(pickle.dumps(registry))  # noqa: S301
    loaded = [record.name for record in registry.records if record.status == "ok"]
    assert [record.name for record in again.records if record.status == "ok"] == loaded
    assert again.known_domains() == registry.known_domains()
