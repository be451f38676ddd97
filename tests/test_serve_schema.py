"""Requests made up from the OpenAPI document: no error of ours, and every answer as the document says."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.served import ServedModel
from tests.universes import data_set, examples_of
from vector_universe.index import Universe
from vector_universe.serve import create_app

schemathesis = pytest.importorskip("schemathesis", reason="it comes with the extra 'dev'")
GenerationMode = schemathesis.GenerationMode
OPERATIONS = ["GET /api/health", "GET /api/info", "GET /api/labels", "GET /api/map", "GET /api/map/items",
              "GET /api/items/{id}", "GET /api/thumbnails/{id}", "GET /api/compared/{id}", "POST /api/search",
              "POST /api/scores", "POST /api/export", "POST /api/classify", "POST /api/embed", "GET /metrics"]


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema") / "universe"
    Universe.build(ServedModel(seconds=0), data_set(examples_of(12)), folder)
    app = create_app(Universe.open(folder, ServedModel(seconds=0)))
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    return {operation.label: operation for operation in (found.ok() for found in document.get_all_operations())}


def test_every_operation_is_tried(operations):
    assert sorted(operations) == sorted(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_keeps_to_the_document(operations, label, mode):
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    @given(case=operations[label].as_strategy(generation_mode=mode))
    @settings(max_examples=20, derandomize=True, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    def keeps_to_it(case):
        # A document cannot say that exactly one of four fields is needed, or what lies in the index.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    try:
        keeps_to_it()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with a request of nothing
