"""A bounded queue: what finds no place is told at once to come again, and what needs no model never waits for it."""

from __future__ import annotations

import threading
import time

import pytest

from tests.served import ServedModel, one_line, search
from tests.universe_api import asked, form, write_universe
from tests.universes import png
from vector_universe.serve.guard.admission import Admission


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_universe(tmp_path_factory.mktemp("universes") / "u")


def test_beyond_the_places_is_503_and_the_rest_goes_on(folder):
    with asked(folder, ServedModel(seconds=0.4)) as client:
        admission = client.app.state.admission = Admission(most=2)
        statuses = []
        threads = [threading.Thread(target=lambda text=text: statuses.append(
            client.post("/api/search", json=search(text)).status_code)) for text in ("slow one", "slow two")]
        for thread in threads:
            thread.start()
        while admission.in_flight < 2:
            time.sleep(0.005)
        began = time.monotonic()
        refused = client.post("/api/search", json=search("a tree"))
        assert "try again" in one_line(refused, 503)
        assert refused.headers["retry-after"] == "1"
        one_line(client.post("/api/embed", **form({"parts": [{"upload": 0}]}, png(1))), 503)
        for address in ("/api/health", "/api/map", "/api/thumbnails/item-1", "/api/map/items?row=1"):
            assert client.get(address).status_code == 200
        assert time.monotonic() - began < 0.3
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]
        assert (admission.in_flight, admission.refused) == (0, 2)
        assert client.post("/api/search", json=search("a tree")).status_code == 200


def test_a_refused_request_gives_its_place_back(folder):
    with asked(folder) as client:
        admission = client.app.state.admission = Admission(most=1)
        for body in ({"like": [{"item": "nope"}]}, {"k": "x"}, {"like": [{"upload": 0}]}):
            one_line(client.post("/api/search", json=body), 400, 422)
            assert admission.in_flight == 0
