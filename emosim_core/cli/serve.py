"""``emosim serve``: answer other programs over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from emosim_core.cli.printing import print_line
from emosim_core.errors import ConfigurationError, MissingDependencyError


@click.group()
def serve() -> None:
    """Serve what was made here to other programs."""


@serve.command("recommender")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Port; 0: a free one.")
def recommender(model: Path, host: str, port: int) -> None:
    """Serve a trained recommender over HTTP until Ctrl-C.

    MODEL is the directory of a training. The protocol is that of the policy http://HOST:PORT; its OpenAPI
    document is at /openapi.json. Anyone who reaches the address may ask; it asks for no password.
    """
    from emosim_core.recommenders.http_policy import INSTALL
    from emosim_core.recommenders.recommender import load_recommender
    from emosim_core.recommenders.server import recommender_app

    try:
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError("serving a recommender", "uvicorn", INSTALL) from error
    app = recommender_app(load_recommender(model), model.resolve().name)
    settings = uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="off")
    try:
        listening = settings.bind_socket()
    except SystemExit:  # uvicorn's way to say that it cannot
        raise ConfigurationError(
            f"--host {host} --port {port} cannot be listened at; is another program there?"
        ) from None
    with listening:
        listening.listen(settings.backlog)  # who reads the address may call at once
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        print_line(f"{model} is served at {address}; Ctrl-C ends it. Simulated users meet it with: --policy {address}")
        uvicorn.Server(settings).run(sockets=[listening])
