"""Surroundings: the proxy and the certificates of environment variables, checked before a request is sent."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from emosim_core.llm import LLMRequestError

CERTIFICATES = "SSL_CERT_FILE"
_FOLDER = "SSL_CERT_DIR"


@dataclass(frozen=True)
class Proxy:
    """A proxy, whose ``url`` has no user name and password, from an environment variable."""

    url: str
    user: str
    password: str
    variable: str

    def __repr__(self) -> str:
        return f"<Proxy {self.url}>"

    def arguments(self, scheme: str) -> dict[str, Any]:
        """Arguments of aiohttp for a request to an address of ``scheme``.

        The login is sent with the request if that is not encrypted, else in the request for the tunnel.
        """
        import aiohttp

        arguments: dict[str, Any] = {"proxy": self.url}
        if self.user:
            login = {"Proxy-Authorization": aiohttp.encode_basic_auth(self.user, self.password)}
            arguments["proxy_headers" if scheme == "https" else "headers"] = login
        return arguments


def proxy_for(url: str) -> Proxy | None:
    """The proxy that ``https_proxy``, ``http_proxy``, ``all_proxy`` and ``no_proxy`` name for an address."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    kind = next((kind for kind in (parts.scheme, "all") if proxies.get(kind)), None)
    if kind is None or proxy_bypass(parts.netloc):
        return None
    name = f"{kind}_proxy"
    variable = next((one for one in (name, name.upper()) if os.environ.get(one)), name.upper())
    advice = f"Set {variable} to an address such as http://127.0.0.1:3128, or unset it, or name the host in NO_PROXY"
    address = proxies[kind].strip()
    if "://" not in address:
        address = f"http://{address}"
    try:
        proxy = urlsplit(address)
        host, port = proxy.hostname, proxy.port
    except ValueError:
        host = port = None
    if host and proxy.scheme.startswith("socks"):
        raise LLMRequestError(
            f"the environment variable {variable} names a SOCKS proxy; only http:// and https:// proxies are used. "
            f"{advice}"
        )
    if not host or proxy.scheme not in ("http", "https") or any(sign.isspace() for sign in address):
        raise LLMRequestError(f"what is in the environment variable {variable} is not the address of a proxy. {advice}")
    shown = f"[{host}]" if ":" in host else host
    return Proxy(
        f"{proxy.scheme}://{shown}{f':{port}' if port is not None else ''}",
        unquote(proxy.username or ""),
        unquote(proxy.password or ""),
        variable,
    )


def tls_context() -> ssl.SSLContext:
    """Context that checks certificates by the file in ``SSL_CERT_FILE`` or the folder in ``SSL_CERT_DIR``.

    If neither is set, by the certificates of the system and of ``certifi``.
    """
    file, folder = os.environ.get(CERTIFICATES), os.environ.get(_FOLDER)
    if not file and not folder:
        import certifi

        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context
    for variable, path, exists in ((CERTIFICATES, file, os.path.isfile), (_FOLDER, folder, os.path.isdir)):
        if path and not exists(path):
            raise LLMRequestError(
                f"the environment variable {variable} names {path}, which does not exist. Correct or unset it"
            )
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except (OSError, ssl.SSLError) as error:
        raise LLMRequestError(
            f"the certificates in {file or folder}, which the environment variable {CERTIFICATES if file else _FOLDER} "
            f"names, cannot be read: {error}"
        ) from None
