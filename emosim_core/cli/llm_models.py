"""``emosim llm-models``: the language models that can be named, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from emosim_core.hooks import Component, Registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def llm_models(obj: dict[str, Any], as_json: bool) -> None:
    """List the language models that installed backends know, with their prices; needs no key and no network.

    A backend may take other models too: a name that it does not know is passed on to its service.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.names import package_hint

    registry = Registry(only=obj["only"])
    registry.load_all()
    backends = [_backend(registry, component) for component, _ in registry.components("llm_backend")]
    if as_json:
        print_json(backends)
        return
    if not backends:
        print_line(f"No language models. {package_hint('llm_backend', '', any_of_kind=True)}")
    for backend in backends:
        print_line(f"{backend['usage']}  ", bold=True, nl=False)
        print_line(backend["summary"])
        for model in backend["models"]:
            price = "price not known"
            if (known := model["price"]) is not None:
                price = (
                    f"{known['prompt']:g} in, {known['cached']:g} in from its cache, {known['completion']:g} out, "
                    f"{known['currency']} per million tokens, {known['as_of']}"
                )
            print_line(f"  {model['name']:<24} {price}")
            for note in model["notes"]:
                print_line(f"  {'':<24} {note}")
        if not backend["models"]:
            print_line("  names no models by itself")


def _backend(registry: Registry, component: Component) -> dict[str, Any]:
    """One backend and its models. A backend is made with any name at all to be asked which it knows."""
    from emosim_core.errors import ConfigurationError

    listed = []
    try:
        names = _made(registry, component, "any").models()
    except ConfigurationError:
        if component.value == "model":
            raise
        names = ()  # it is named by something else, such as a port
    for name in names:
        backend = _made(registry, component, name)
        price = backend.price()
        keys = () if price is None else ("prompt", "cached", "completion", "currency", "as_of")
        known = {key: getattr(price, key) for key in keys}
        listed.append({"name": name, "price": known or None, "notes": list(backend.announcements())})
    return {"name": component.name, "usage": component.usage(), "summary": component.summary, "models": listed}


def _made(registry: Registry, component: Component, model: str) -> Any:
    from emosim_core.llm.backend import LLMBackend

    spec: dict[str, Any] = {"name": component.name}
    if component.value:
        spec[component.value] = model
    return registry.resolve("llm_backend", spec).build(LLMBackend)
