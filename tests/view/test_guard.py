"""Who may reach the application, and what its answers let a browser do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from emosim_core.view.guard import is_own_name, split_host
from emosim_core.view.places import OutsideError, inside

OWN = {"origin": "http://127.0.0.1:8770"}


def test_without_the_token_nothing_is_answered(client: TestClient) -> None:
    client.cookies.clear()
    for address in ("/", "/api/report?path=random", "/static/view.css", "/?token=another", "/nothing"):
        answer = client.get(address)
        assert answer.status_code == 403, address
        assert "emosim view" in answer.text
    client.cookies.set("emosim_view_8770", "another")
    assert client.get("/").status_code == 403


def test_the_token_in_the_address_becomes_a_cookie_and_goes_from_the_address(client: TestClient) -> None:
    client.cookies.clear()
    answer = client.get("/job/random?token=a-token-of-the-tests&x=1%262")
    assert answer.headers["location"] == "/job/random?x=1%262"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/job/random").status_code == 200


def test_a_name_that_is_not_of_this_machine_is_refused(client: TestClient) -> None:
    for name in ("evil.example:8770", "127.0.0.1.evil.example", "", "[::2]:8770", "10.0.0.1"):
        assert client.get("/", headers={"host": name}).status_code == 403, name
    assert is_own_name("localhost", "127.0.0.1")
    assert is_own_name("192.168.1.5", "0.0.0.0")
    assert not is_own_name("evil.example", "0.0.0.0")


def test_the_name_of_a_host_header_is_read_with_and_without_a_port() -> None:
    assert split_host("[::1]:8770")[::2] == ("::1", "8770")
    assert split_host("localhost")[::2] == ("localhost", "")
    assert split_host("127.0.0.1:80")[::2] == ("127.0.0.1", "80")


def test_a_change_comes_from_a_page_of_the_application_alone(client: TestClient) -> None:
    said = {"path": "random", "tags": ["good"], "note": ""}
    for headers in ({}, {"origin": "null"}, {"origin": "http://evil.example"}, {"origin": "http://127.0.0.1:1"}):
        assert client.post("/api/remark", json=said, headers=headers).status_code == 403
    assert client.post("/api/remark", json=said, headers=OWN).json() == {"tags": ["good"], "note": ""}


def test_every_answer_has_a_strict_policy(client: TestClient) -> None:
    for address in ("/", "/job/random", "/episodes/random", "/nothing", "/api/nothing", "/static/view.css"):
        headers = client.get(address).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_report_is_shown_in_a_sandbox_and_never_what_a_link_leads_to(client: TestClient, root: Path) -> None:
    page = "<script>document.title='mine'</script>"
    (root / "random" / "report.html").write_text(page)
    answer = client.get("/report-page/random")
    assert answer.text == page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy
    (root / "random" / "report.html").unlink()
    (root.parent / "secret.html").write_text("a secret")
    (root / "random" / "report.html").symlink_to(root.parent / "secret.html")
    answer = client.get("/report-page/random")
    assert answer.status_code == 404
    assert "a secret" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../random",
        "random/../..",
        "/etc",
        "random//x",
        ".",
        ".hidden",
        "random/..%2f..",
        "nothing",
        "a\\b",
        "a\0b",
    ],
)
def test_a_path_outside_or_of_nothing_is_refused_everywhere(client: TestClient, root: Path, path: str) -> None:
    (root / ".hidden").mkdir()
    for address in ("report", "live", "episodes", "story", "prompts"):
        answer = client.get(f"/api/{address}", params={"path": path})
        assert answer.status_code in (404, 422), (address, path)
        assert "error" in answer.json()
    assert client.get("/api/compare", params={"d": ["random", path]}).status_code == 404
    assert client.post("/api/remark", json={"path": path}, headers=OWN).status_code == 404


def test_links_out_of_the_root_are_not_followed(client: TestClient, root: Path) -> None:
    outside = root.parent / "outside"
    shutil.move(root / "parquet", outside)
    (root / "leads-out").symlink_to(outside)
    assert client.get("/job/leads-out").status_code == 404
    shutil.copytree(outside, root / "within")
    shutil.rmtree(root / "within" / "interactions")
    (root / "within" / "interactions").symlink_to(outside / "interactions")
    answer = client.get("/api/episodes", params={"path": "within"})
    assert answer.status_code == 404
    assert "symbolic link" in answer.json()["error"]
    listed = client.get("/").text
    assert "leads-out" not in listed


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "/", "\\", "a/b", "~", "*", "..."]), max_size=6))
def test_what_is_opened_is_always_below_the_root(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    root = _tree(tmp_path_factory)
    try:
        place = inside(root, "/".join(parts))
    except OutsideError:
        return
    assert os.path.realpath(place).startswith(str(root))


_made: list[Path] = []


def _tree(factory: pytest.TempPathFactory) -> Path:
    if not _made:
        _made.append(factory.mktemp("tree").resolve())
        (_made[0] / "a" / "b").mkdir(parents=True)
    return _made[0]


def test_texts_of_files_are_shown_as_texts(client: TestClient, hostile: Path, root: Path, client_of: Any) -> None:
    assert "<b>no route</b>" not in client.get("/job/failed").text
    assert "&lt;b&gt;no route" in client.get("/job/failed").text
    other = client_of(hostile.parent)
    for address in ("/", "/job/run", "/episodes/run"):
        assert "<img src=x" not in other.get(address).text
    story = other.get("/api/story", params={"path": "run", "episode": 0})
    assert story.headers["content-type"] == "application/json"
