"""The model by itself: labels of one's own for a picture, and vectors of texts and pictures."""

from __future__ import annotations

from fastapi import APIRouter

from vector_universe.errors import UserError
from vector_universe.index import Query
from vector_universe.index.labels.zero_shot_labels import zero_shot_labels
from vector_universe.serve.api.answers import ClassifiedAnswer, ClassifiedLabelAnswer, EmbeddedAnswer
from vector_universe.serve.api.current import BUSY, Asked, Current
from vector_universe.serve.api.requests import ClassifyRequest, EmbedRequest
from vector_universe.serve.api.uploads import documented

router = APIRouter()


@router.post("/api/classify", responses=BUSY, openapi_extra=documented(ClassifyRequest))
def classify(snapshot: Current, body: Asked) -> ClassifiedAnswer:
    """Zero-shot classification: which of these labels fits a picture, and whether any does."""
    request = body.read(ClassifyRequest)
    universe = snapshot.universe
    part = request.part.part(body.pictures)
    image_1D = universe.query_vector(Query((part,), against="image"))[None]
    found = zero_shot_labels(universe.model, image_1D, request.labels, name=universe.name, every=True)
    assert found.all_NL is not None
    assert found.cosines_NL is not None
    calibration = None if part.text is not None else universe.calibration_of_images
    matches = [None] * len(request.labels) if calibration is None else calibration.probability(
        found.cosines_NL[0], len(request.labels)).tolist()
    labels = [ClassifiedLabelAnswer(name=name, probability=round(float(share), 6), score=round(float(cosine), 6),
                                    match=None if match is None else round(match, 6))
              for name, share, cosine, match in zip(request.labels, found.all_NL[0], found.cosines_NL[0], matches,
                                                    strict=True)]
    labels.sort(key=lambda label: -label.score)
    doubt = None
    if calibration is not None and max(matches) < calibration.least_probability:
        doubt = f"none of these fits: the likeliest is {labels[0].name!r}, {max(matches):.0%} likely a match"
    return ClassifiedAnswer(labels=labels, doubt=doubt)


@router.post("/api/embed", responses=BUSY, openapi_extra=documented(EmbedRequest))
def embed(snapshot: Current, body: Asked) -> EmbeddedAnswer:
    """Unit vectors of texts and pictures, in the space of the universe; an item gives its own."""
    request = body.read(EmbedRequest)
    parts = [part.part(body.pictures) for part in request.parts]
    if any(part.is_blank for part in parts):
        raise UserError("a text to embed is blank: leave it out or write something")
    vectors_PD = snapshot.universe.vectors_of(parts)
    return EmbeddedAnswer(dimension=vectors_PD.shape[1], vectors=vectors_PD.tolist())
