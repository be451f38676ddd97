"""The body of a request: JSON, or a form with the same JSON and pictures beside it; checked at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import ParseError
from starlette.datastructures import UploadFile

from vector_universe.data.images import ImageError, open_image
from vector_universe.serve.api.requests import MAX_PICTURES

MAX_UPLOAD = 10_000_000  # bytes of one picture
MAX_JSON = 2_000_000
MAX_BODY = 40_000_000  # of all together; the guard cuts it off while it arrives
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Body:
    """What came: the JSON as bytes, and the pictures as encoded bytes whose headers have been read."""

    json: bytes
    pictures: tuple[bytes, ...] = ()

    def read(self, kind: type[Model]) -> Model:
        """The JSON as what it should be.

        Raises:
            RequestValidationError: it is not.
        """
        try:
            return kind.model_validate_json(self.json or b"{}")
        except ValidationError as error:
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in
                                          error.errors(include_url=False, include_input=False)]) from None


async def read_body(request: Request) -> Body:
    """Take in the body of a request.

    Raises:
        HTTPException: it is neither JSON nor a form (415), too large (413), half a form (400), or a form of something
            else (422); or a picture is empty, no image (415), too large (413) or has too many pixels (413).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/json", ""):
        return Body(_small(await request.body()))
    if kind != "multipart/form-data":
        raise HTTPException(415, f"the request is {kind[:80]!r}: send application/json, or multipart/form-data with "
                                 "the JSON as 'query' and files as 'image'")
    try:
        async with request.form(max_files=MAX_PICTURES, max_fields=1, max_part_size=MAX_JSON) as form:
            query: bytes | None = None
            pictures = []
            for name, value in form.multi_items():
                if isinstance(value, UploadFile) and name == "image":
                    pictures.append(await _picture(value))
                elif not isinstance(value, UploadFile) and name == "query":
                    query = _small(value.encode("utf-8", "surrogatepass"))
                else:
                    raise HTTPException(422, f"the form has {name[:80]!r}: send the JSON as the field 'query' and "
                                             "pictures as files 'image'")
    except ParseError as error:  # some versions of starlette let it through
        raise HTTPException(400, f"the form cannot be read: {error}") from None
    if query is None:
        raise HTTPException(422, "the form has no field 'query': send the JSON in it")
    return Body(query, tuple(pictures))


def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that `read_body` takes; `kind` must be among the document's schemas."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    form = {"type": "object", "required": ["query"], "additionalProperties": False, "properties": {
        "query": schema, "image": {"type": "array", "maxItems": MAX_PICTURES,
                                   "items": {"type": "string", "format": "binary"}}}}
    return {"requestBody": {"required": True, "content": {
        "application/json": {"schema": schema},
        "multipart/form-data": {"schema": form, "encoding": {"query": {"contentType": "application/json"}}}}}}


def _small(encoded: bytes) -> bytes:
    if len(encoded) > MAX_JSON:
        raise HTTPException(413, f"the query is larger than {MAX_JSON // 1_000_000} MB")
    return encoded


async def _picture(upload: UploadFile) -> bytes:
    encoded = await upload.read(MAX_UPLOAD + 1)
    if len(encoded) > MAX_UPLOAD:
        raise HTTPException(413, f"the image is larger than {MAX_UPLOAD // 1_000_000} MB")
    try:
        open_image(encoded).close()  # its header alone
    except ImageError as error:
        raise HTTPException(413 if "too large" in str(error) else 415, f"the image cannot be read: {error}") from None
    return encoded
