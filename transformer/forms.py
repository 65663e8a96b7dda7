"""Pictures as people send them over HTTP: a form with a file, or the file itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from serving.errors import ContentTypeUnsupported, FieldMissing, RequestInvalid
from serving.server.body import Bodies
from serving.server.scope import headers_of

MAX_PARTS: Final = 1000


async def read_pictures(request: Request, fields: Sequence[str], bodies: Bodies) -> list[bytes]:
    """Return the encoded pictures of a request: those in a form's `fields`, or the body.

    Raises:
        ContentTypeUnsupported: it is neither a form nor a picture.
        FieldMissing: the form has none of `fields`.
        RequestInvalid: the form cannot be read.
        RequestTooLarge: the body is over the limit.
    """
    content_type = headers_of(request).get("content-type", "").partition(";")[0].strip().lower()
    body = await bodies.read(request)
    if content_type == "multipart/form-data":
        return await _files(await _parse(request.headers, body), fields)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return [body]
    raise ContentTypeUnsupported(
        f"the content type is {content_type[:80] or 'missing'}: send a form (curl -F file=@picture.jpg) or the picture "
        "itself (curl --data-binary @picture.jpg -H 'Content-Type: image/jpeg')"
    )


class _MemoryParser(MultiPartParser):
    """Starlette's parser, which would put files over 1 MiB on the disk; the body is in memory already, and limited."""

    spool_max_size = 2**62


async def _parse(headers: Headers, body: bytes) -> FormData:
    async def stream() -> AsyncGenerator[bytes]:
        yield body

    parser = _MemoryParser(headers, stream(), max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=len(body) + 1)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise RequestInvalid(f"the form cannot be read: {error.message}") from error
    except KeyError as error:
        raise RequestInvalid("the form cannot be read: its content type names no boundary") from error
    except (LookupError, ValueError) as error:
        raise RequestInvalid(f"the form cannot be read: its content type is odd: {error}") from error


async def _files(form: FormData, fields: Sequence[str]) -> list[bytes]:
    files = [value for name in fields for value in form.getlist(name)]
    if not files:
        there = ", ".join(repr(name)[:80] for name in list(form)[:8]) or "none"
        raise FieldMissing(f"the form has no field {' or '.join(map(repr, fields))}; its fields: {there}")
    pictures = []
    for file in files:
        if not isinstance(file, UploadFile):
            raise RequestInvalid(
                "the picture's field holds text: send it as a file (curl -F file=@picture.jpg, with the @)"
            )
        pictures.append(await file.read())
    return pictures
