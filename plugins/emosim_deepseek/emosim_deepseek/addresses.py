"""Addresses: base URLs as options and environment variables give them, checked so that none carries a secret."""

from __future__ import annotations

from urllib.parse import urlsplit


def base_url(text: str, given_in: str) -> str:
    """A base URL without a slash at its end.

    Args:
        text: what was given.
        given_in: where, for messages.

    Raises:
        ValueError: it is no http or https address, or holds a user name, a password, a query or a fragment: it is
            written into manifests and messages.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"the base URL in {given_in} cannot be read; write one as http://127.0.0.1:8000/v1") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            f"the base URL in {given_in} holds more than an address (a user name, a password, a query or a "
            "fragment). It is written into the files of a run: leave that out, and give a key in an environment "
            "variable"
        )
    if parts.scheme not in ("http", "https") or not host or any(sign.isspace() for sign in text.strip()):
        raise ValueError(
            f"the base URL in {given_in} must begin with http:// or https:// and name a host, "
            "as in http://127.0.0.1:8000/v1"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"
