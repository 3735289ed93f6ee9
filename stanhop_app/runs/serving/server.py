"""The server itself: addresses, sizes, kinds of content, and errors in one line."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stanhop_app.errors import DataError, OptionError, StanhopError
from stanhop_app.runs.encoding import encode, json_rows
from stanhop_app.runs.serving.asked import Asked
from stanhop_app.runs.serving.config import ServeConfig
from stanhop_app.runs.serving.page import TYPES, about_page, schema
from stanhop_app.runs.serving.service import Answer, Service
from stanhop_app.version import __version__

NOT_FINITE = "the forecast of these values is not finite; they are beyond what the model can take."
if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Names of this machine, which nobody else reaches."""
NOTES, LONGEST_HEADER = "Stanhop-Notes", 4000
"""Header of what was done with a table, such as values that were filled, and its characters at most."""


def application(service: Service, config: ServeConfig) -> Any:
    """The server, as any ASGI runner takes it.

    Raises:
        OptionError: if FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI, Request, Response
        from fastapi.responses import HTMLResponse, JSONResponse
    except ImportError:
        raise OptionError("a server needs FastAPI: pip install 'stanhop-app[serve]'.") from None

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(service.serve_windows())
        yield
        task.cancel()

    app = FastAPI(
        title="stanhop", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    waiting = [0]

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return about_page(service.about)

    @app.get("/model", summary="What the model reads and forecasts")
    async def model() -> dict[str, Any]:
        return service.about

    @app.post(
        "/forecast",
        summary="The steps after a table or a window",
        openapi_extra={"requestBody": {"content": schema(), "required": True}},
    )
    async def forecast(request: Request) -> Response:
        if waiting[0] >= config.waiting:
            told = {"error": f"{config.waiting} requests wait already; come again."}
            return JSONResponse(told, status_code=503, headers={"Retry-After": "1"})
        waiting[0] += 1
        try:
            content, kind, notes = await _answer(request, service, config.max_request)
            return Response(content, media_type=kind, headers=_told(notes))
        finally:
            waiting[0] -= 1

    _refuse(app, config)
    return app


def _refuse(app: "FastAPI", config: ServeConfig) -> None:
    """What is told in one line: what cannot be, what is nowhere, defects, and who asks by another's name."""
    from fastapi import Request, Response
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    @app.exception_handler(StanhopError)
    async def refused(request: Request, error: StanhopError) -> Response:
        codes: dict[type[StanhopError], int] = {TooLarge: 413, Unread: 415}
        code = codes.get(type(error), 422)
        return JSONResponse({"error": str(error)}, status_code=code)

    @app.exception_handler(HTTPException)
    async def nowhere(request: Request, error: Any) -> Response:
        told = {"error": f"{request.method} {request.url.path}: {error.detail}."}
        return JSONResponse(told, status_code=error.status_code, headers=error.headers)

    @app.middleware("http")
    async def defects(request: Request, answer: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await answer(request)
        except Exception as error:  # ours: said without what could be of somebody else
            told = {"error": f"this is a defect of stanhop ({type(error).__name__})."}
            return JSONResponse(told, status_code=500)

    @app.middleware("http")
    async def own_name(request: Request, answer: Callable[[Any], Awaitable[Any]]) -> Any:
        # A page of another site whose name leads to this machine would else ask in its visitor's name.
        name = request.headers.get("host", "").rpartition("@")[2]
        bare = name[1 : name.find("]")] if name.startswith("[") else name.partition(":")[0]
        if config.host in LOOPBACK and bare not in LOOPBACK:
            told = {
                "error": f"{name[:100]!r} is not this machine; what asks for others says {LOOPBACK[0]}."
            }
            return JSONResponse(told, status_code=403)
        return await answer(request)


class TooLarge(OptionError):
    """A request that is larger than was allowed."""


class Unread(OptionError):
    """A request of a kind that nobody reads."""


async def _answer(
    request: Any, service: Service, megabytes: int
) -> tuple[bytes, str, Sequence[str]]:
    """Content and media type of the answer to a request, and what was done with its table."""
    media = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    kind = TYPES.get(media)
    if kind is None:
        raise Unread(f"{media!r} is not read; send one of {', '.join(TYPES)}.")
    body, most = bytearray(), megabytes * 2**20
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise TooLarge(f"the request has more than {megabytes} MB (--max-request).")
    loop, content = asyncio.get_running_loop(), bytes(body)
    query = request.query_params.multi_items()
    if kind == "json" and query:
        raise OptionError(
            f"{query[0][0]!r} stands in the address; of JSON it is part of the object."
        )
    asked = (
        await loop.run_in_executor(None, Asked.of_json, content)
        if kind == "json"
        else await loop.run_in_executor(None, Asked.of_table, content, query)
    )
    made = await service.forecast(asked)
    accepted = request.headers.get("accept", "*/*")
    wanted = next((name for name in TYPES if name in accepted), "application/json")
    if isinstance(made.forecast, np.ndarray):
        wanted = "application/json"  # a window has no names and no time stamps
    return encoded(made, TYPES[wanted]), wanted, made.notes


def encoded(made: Answer, kind: str) -> bytes:
    """A forecast as JSON, CSV or Parquet; a window's as JSON alone.

    Raises:
        DataError: if it has values that are not finite, which JSON cannot say.
    """
    forecast = made.forecast
    if isinstance(forecast, pd.DataFrame):
        # Bounds may be missing, of a series that ended long ago; none is infinite.
        if np.isinf(forecast.select_dtypes("number").to_numpy(np.float64)).any():
            raise DataError(NOT_FINITE)
        if kind != "json":
            return encode(forecast, kind)
    rows = json_rows(forecast) if isinstance(forecast, pd.DataFrame) else forecast.tolist()
    told: dict[str, Any] = {"forecast": rows} | ({"notes": made.notes} if made.notes else {})
    try:
        return json.dumps(told, allow_nan=False).encode()
    except ValueError:
        raise DataError(NOT_FINITE) from None


def _told(notes: Sequence[str]) -> dict[str, str]:
    """A header with what was done with a table, as JSON: files have no other place for it."""
    kept = list(notes)
    while kept and len(json.dumps(kept)) > LONGEST_HEADER:
        kept.pop()
    return {NOTES: json.dumps(kept)} if kept else {}
