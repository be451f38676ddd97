"""Who may come in: this machine, whoever has the token, and no page of another site."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from tests.served import ServedModel, one_line, search
from tests.universes import data_set, examples_of
from vector_universe.errors import UserError
from vector_universe.index import Universe
from vector_universe.serve import create_app
from vector_universe.serve.guard.access import Access, host_named
from vector_universe.serve.run import serve

TOKEN = "correct-horse-battery"
BEARER = {"authorization": f"Bearer {TOKEN}"}
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "page.js").write_text("1")
    return folder


@pytest.fixture(scope="module")
def universe(tmp_path_factory):
    return Universe.build(ServedModel(), data_set(examples_of(6)), tmp_path_factory.mktemp("access") / "universe")


@pytest.fixture
def loopback(universe, static):
    with TestClient(create_app(universe, static)) as client:
        yield client


@pytest.fixture
def guarded(universe, static):
    app = create_app(universe, static, access=Access(TOKEN))
    with TestClient(app, base_url="http://pictures.example:8765", follow_redirects=False) as client:
        yield client


# ---- this machine ----

@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "",
                                  "192.168.1.2"])
def test_without_a_token_only_this_machine_is_named(loopback, host):
    assert "localhost" in one_line(loopback.get("/api/info", headers={"host": host}), 400)
    assert loopback.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8765", "127.0.0.1:1", "[::1]:8765"])
def test_this_machines_names_are_accepted(loopback, host):
    assert loopback.get("/api/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(("header", "host"), [
    ("localhost", "localhost"), ("LocalHost:80", "localhost"), ("127.0.0.1:65535", "127.0.0.1"), ("[::1]", "[::1]"),
    ("[::1]:8765", "[::1]"), ("[FE80::A]:1", "[fe80::a]"), ("my_machine.example-1.org", "my_machine.example-1.org"),
    ("", None), (":80", None), ("::1", None), ("::1:80", None), ("[::1", None), ("[::1]80", None), ("[]", None),
    ("[localhost]", None), ("localhost:", None), ("localhost:8o", None), ("localhost:123456", None),
    ("localhost:80:80", None), ("localhost:80\n", None), (" localhost", None), ("localhost ", None),
    ("a@localhost", None), ("localhost/", None), ("localhost,evil.example", None), ("localhost\\", None),
    ("http://localhost", None), ("ｌocalhost", None), ("localhost:٨", None)])
def test_a_header_host_is_read_strictly(header, host):
    assert host_named(header) == host


# ---- the token ----

@pytest.mark.parametrize("address", ["/api/health", "/api/info", "/api/map", "/metrics", "/openapi.json", "/",
                                     "/assets/page.js", "/nowhere", "/api/thumbnails/item-1"])
def test_everything_needs_the_token(guarded, address):
    refused = guarded.get(address)
    assert "Authorization: Bearer TOKEN" in one_line(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert guarded.get(address, headers=BEARER).status_code == (404 if address == "/nowhere" else 200)


@pytest.mark.parametrize("given", ["Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
                                   "Bearer ÿÿ", TOKEN])
def test_what_is_not_the_token(guarded, given):
    one_line(guarded.get("/api/health", headers={"authorization": given.encode("latin-1")}), 401)
    one_line(guarded.post("/api/search", json=search("x"), headers={"authorization": given.encode("latin-1")}), 401)


def test_the_printed_address_lets_a_browser_in(guarded):
    entered = guarded.get(f"/?token={TOKEN}&q=cat", headers=PAGE)
    assert (entered.status_code, entered.headers["location"]) == (303, "/?q=cat")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert "secure" not in cookie
    assert "the page" in guarded.get("/").text
    assert len(guarded.post("/api/search", json=search("x")).json()["hits"]) == 3
    guarded.cookies.clear()
    one_line(guarded.get("/api/health"), 401)


def test_a_link_of_another_site_lets_in_too(guarded):
    """A redirect would lose the strict cookie, so a page leads on."""
    entered = guarded.get(f"/?token={TOKEN}", headers={**PAGE, "sec-fetch-site": "cross-site",
                                                       "sec-fetch-mode": "navigate"})
    assert entered.status_code == 200
    assert 'content="0; url=/"' in entered.text
    assert "the page" in guarded.get("/").text


def test_a_token_in_an_address_leads_nowhere_else(guarded):
    for path in ("//evil.example/", "/\\evil.example", "/%2f/evil.example"):
        assert guarded.get(f"http://pictures.example{path}?token={TOKEN}", headers=PAGE).headers["location"] == "/"
    guarded.cookies.clear()
    attack = guarded.get("/", params={"token": TOKEN, "a": '"><script>alert(1)</script>'},
                         headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
    assert "<script" not in attack.text
    guarded.cookies.clear()
    one_line(guarded.get("/api/health", params={"token": TOKEN}), 401)


def test_a_browser_without_a_token_gets_a_page_that_says_what_to_do(guarded):
    asked = guarded.get("/", headers=PAGE)
    assert asked.status_code == 401
    assert "asks for its token" in asked.text
    assert "토큰" in asked.text
    assert "not the token" not in asked.text
    assert "default-src 'none'" in asked.headers["content-security-policy"]
    assert "not the token" in guarded.get("/?token=wrong", headers=PAGE).text
    assert "the page" not in asked.text.lower().replace("the page itself", "")


def test_the_cookie_is_kept_to_tls_behind_a_proxy_with_it(universe, static):
    with TestClient(create_app(universe, static, access=Access(TOKEN)), base_url="https://pictures.example",
                    follow_redirects=False) as client:
        assert "secure" in client.get(f"/?token={TOKEN}").headers["set-cookie"].lower()


def test_tokens_that_can_be_guessed_are_refused(tmp_path):
    for token, words in (("short", "5 characters"), ("x" * 15, "at least 16"), ("with spaces in the token", "spaces"),
                         ("토큰토큰토큰토큰토큰토큰토큰토큰", "ASCII")):
        with pytest.raises(UserError, match=words):
            serve(tmp_path, port=0, token=token)


def test_beyond_this_machine_a_token_is_made_up():
    made_up = [Access.to("0.0.0.0", None).token for _ in range(2)]
    assert all(token is not None and re.fullmatch(r"[\w-]{32}", token) for token in made_up)
    assert made_up[0] != made_up[1]
    assert Access.to("0.0.0.0", TOKEN).token == TOKEN
    assert Access.to("127.0.0.1", None).token is None
    assert TOKEN not in repr(Access(TOKEN))


# ---- other sites ----

@pytest.mark.parametrize("headers", [
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, {"origin": "http://evil.example"},
    {"origin": "null"}, {"origin": "http://localhost:3000"},
])
def test_pages_of_other_sites_are_refused(loopback, headers):
    assert "another site" in one_line(loopback.post("/api/search", json=search("x"), headers=headers), 403)
    one_line(loopback.get("/api/map", headers=headers), 403)
    one_line(loopback.get("/assets/page.js", headers=headers), 403)
    assert "access-control-allow-origin" not in loopback.options("/api/search", headers=headers).headers


@pytest.mark.parametrize("headers", [
    {}, {"sec-fetch-site": "same-origin", "origin": "http://testserver"}, {"sec-fetch-site": "none"},
    {"origin": "http://testserver"}, {"sec-fetch-site": "same-origin", "origin": "https://proxied.example"},
])
def test_the_own_page_and_programs_are_served(loopback, headers):
    assert loopback.post("/api/search", json=search("x"), headers=headers).status_code == 200


def test_a_link_leads_here_but_a_form_does_not(loopback):
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert loopback.get("/", headers=link).status_code == 200
    one_line(loopback.post("/api/export", json={}, headers=link), 403)


def test_security_headers_are_on_every_answer(loopback):
    answers = [loopback.get("/"), loopback.get("/api/info"), loopback.get("/api/thumbnails/item-1"),
               loopback.get("/nowhere"), loopback.get("/api/info", headers={"host": "evil.example"}),
               loopback.get("/api/info", headers={"origin": "http://evil.example"}),
               loopback.post("/api/search", content=bytes(50_000_000)), loopback.get("/metrics")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
