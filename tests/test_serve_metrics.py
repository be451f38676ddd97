"""What a server counts of itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.served import ServedModel, search
from tests.universes import data_set, examples_of
from vector_universe.index import Universe
from vector_universe.serve import create_app


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("metrics") / "universe"
    Universe.build(ServedModel(seconds=0.2), data_set(examples_of(6)), out)
    return out


@pytest.fixture
def client(folder):
    app = create_app(Universe.open(folder, ServedModel(seconds=0.2)))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def counted(client, name, **labels):
    """The value of one series; 0 where nothing was counted yet."""
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == f"vector_universe_{name}" and labels.items() <= sample.labels.items():
                return sample.value
    return 0


def test_requests_are_counted_by_the_pattern_of_their_address(client):
    for id in ("item-1", "item-2", "nope", "..%2Fetc%2Fpasswd"):
        client.get(f"/api/items/{id}")
    client.get("/nowhere/at/all")
    client.get("/api/info", headers={"host": "evil.example"})
    client.post("/api/search", json={"k": 0})
    route = "/api/items/{id:path}"
    assert counted(client, "requests_total", route=route, status="200") == 2
    assert counted(client, "requests_total", route=route, status="404") == 2
    assert counted(client, "requests_total", route="none", status="404") == 1
    assert counted(client, "requests_total", route="none", status="400") == 1
    assert counted(client, "requests_total", route="/api/search", status="422") == 1
    assert counted(client, "request_seconds_count", route=route) == 4
    assert counted(client, "requests_in_flight") == 1  # this one
    assert "passwd" not in client.get("/metrics").text


def test_runs_of_the_model_and_refusals(client):
    client.app.state.admission._most = 2
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: client.post("/api/search", json=search(f"slow {n}")), range(8)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert counted(client, "model_requests_refused_total") == len(refused)
    assert counted(client, "model_requests_in_flight") == 0
    assert counted(client, "model_batch_requests_sum", kind="texts") == 8 - len(refused)
    assert counted(client, "model_wait_seconds_count", kind="texts") >= 1


def test_facts_of_the_index_and_the_process(client):
    assert counted(client, "items") == 6
    assert counted(client, "index_info", version=client.get("/api/health").json()["version"],
                   model=ServedModel().fingerprint()[:12]) == 1
    text = client.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    assert "process_resident_memory_bytes" in text.text
    assert "process_cpu_seconds_total" in text.text


def test_an_error_of_ours_is_counted_as_500(client, monkeypatch):
    monkeypatch.setattr(ServedModel, "embed_texts", lambda *_: 1 / 0)
    assert client.post("/api/search", json=search("another text")).status_code == 500
    assert counted(client, "requests_total", route="/api/search", status="500") == 1


def test_two_applications_count_apart(folder, client):
    client.get("/api/info")
    with TestClient(create_app(folder)) as other:
        assert counted(other, "requests_total", route="/api/info", status="200") == 0
