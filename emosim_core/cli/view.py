"""``emosim view``: a local web application about what lies below a directory."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import click

from emosim_core.cli.printing import print_line
from emosim_core.cli.stopping import leave_at_once
from emosim_core.errors import ConfigurationError, MissingDependencyError, RunError
from emosim_core.paths import state_directory

_GRACE = 3.0
"""Seconds for what is under way when the application ends."""


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="runs", metavar="[DIR]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0: a free one.  [8770, or a free one]")
@click.option("--token/--no-token", default=True, help="Ask for a token, which the printed address holds.  [on]")
@click.option("--open/--no-open", "open_browser", default=False, help="Open the address in a browser.  [off]")
@click.pass_obj
def view(obj: dict[str, Any], directory: Path, host: str, port: int | None, token: bool, open_browser: bool) -> None:
    """Look at everything below DIR in a browser, live, until Ctrl-C.

    Without DIR, at runs/. The page lists runs, trainings, evaluations and studies, follows those that are being
    written, shows reports, episodes and prompts, and compares. It needs no network, and listens on this machine alone
    unless --host names another address.
    """
    if not directory.is_dir():
        raise RunError(f"there is no directory {directory}; name one that holds runs")
    try:
        import jinja2  # noqa: F401
        import uvicorn
        from starlette.applications import Starlette  # noqa: F401
    except ImportError as error:
        missing = (error.name or "starlette").partition(".")[0]
        raise MissingDependencyError("emosim view", missing, 'pip install "emosim-core[view]"') from error
    from emosim_core.view.app import view_app
    from emosim_core.view.context import Context
    from emosim_core.view.guard import new_token

    root = directory.resolve()
    context = Context(root, str(directory), state_directory() / "view", obj["only"])
    secret = new_token() if token else None
    quiet: dict[str, Any] = {"log_level": "warning", "lifespan": "off", "server_header": False}
    server = uvicorn.Server(uvicorn.Config(view_app(context, secret, host), timeout_graceful_shutdown=2, **quiet))
    context.stopping = lambda: server.should_exit
    # What is being made for a page when the application ends is given up, which is no error.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not server.should_exit)
    with _listening(host, port) as listening:
        listening.listen(128)  # who reads the address may call at once
        place = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"
        place += "" if secret is None else f"?token={secret}"
        print_line(f"{directory} is shown at {place}")
        print_line("Ctrl-C ends it.")
        if open_browser:
            click.launch(place)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            if not _all_ended():
                leave_at_once()
            raise


def _all_ended() -> bool:
    """Whether all threads end within a moment; a report of a million episodes takes a minute, and nobody waits for it.

    Nothing is lost with it: what the application writes takes its place whole or not at all.
    """
    until = time.monotonic() + _GRACE
    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    for one in others:
        one.join(max(0.0, until - time.monotonic()))
    return not any(one.is_alive() for one in others)


def _listening(host: str, port: int | None) -> Any:
    """A socket; where no port is named and the usual one is taken, at a free one."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (8770, 0) if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            cause = error
    raise ConfigurationError(f"--host {host} --port {port or 0} cannot be listened at: {cause.strerror or cause}")
