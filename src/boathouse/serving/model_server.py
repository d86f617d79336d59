"""The model server of one endpoint: a bare ASGI app. The log is written before the answer."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from boathouse import clock
from boathouse.errors import BoathouseError, InvalidInput, NotFound, Unavailable
from boathouse.features import FeatureSpec, Lookups, Source
from boathouse.scoring import Model
from boathouse.serving.online_completion import complete_online
from boathouse.serving.payload import parse, plain
from boathouse.serving.spool import Spool

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
ONLINE, SHADOW = "online", "shadow"
"""How a request came: its answer goes to a caller, or to the log alone."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """One answer as it goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class ModelServer:
    """Answers `/invocations` with the loaded version; `/load` brings another, which takes over when it is warm."""

    def __init__(self, endpoint: str, load: Callable[[int], Model], online: Lookups, spool: Spool, key: str) -> None:
        self._endpoint = endpoint
        self._load = load
        self._online = online
        self._spool = spool
        self._key = key
        self._model: Model | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        loop = asyncio.get_running_loop()
        path = scope["path"]
        if path == "/ping":
            answer = Answer(200, b"{}", {})
        elif headers.get("x-boathouse-key") != self._key:
            answer = _refusal(NotFound("this server answers the platform only"))
        elif path == "/load":
            answer = await loop.run_in_executor(self._loader, self._bring, body)
        else:
            answer = await loop.run_in_executor(self._worker, self._invoke, headers, body)
        await _reply(send, answer)

    def _bring(self, body: bytes) -> Answer:
        number, began = int(msgspec.json.decode(body)["version"]), time.perf_counter()
        _log.info("loading version %s", number)
        try:
            self._model = self._load(number)
        except Exception as error:
            _log.exception("version %s does not load", number)
            return _refusal(Unavailable(f"the version does not load: {type(error).__name__}: {error}"))
        _log.info("version %s answers after %.1f s", number, time.perf_counter() - began)
        return Answer(200, b"{}", {})

    def _invoke(self, headers: Mapping[str, str], body: bytes) -> Answer:
        request_id = headers.get("x-request-id") or uuid.uuid4().hex
        began, start = clock.now(), time.perf_counter()
        record: dict[str, Any] = {
            "request_id": request_id, "request_time": began.isoformat(), "requester": headers.get("x-boathouse-requester"),
            "endpoint": self._endpoint, "model_version": self._model.version if self._model else None,
            "request": body.decode(errors="replace"), "mode": SHADOW if "x-boathouse-shadow-of" in headers else ONLINE,
            "shadow_of": headers.get("x-boathouse-shadow-of"),
        }  # fmt: skip
        try:
            answer, logged = self._predict(headers.get("content-type", ""), body)
        except BoathouseError as error:
            _log.warning("request %s was refused: %s", request_id, error)
            answer, logged = _refusal(error), {}
        except Exception as error:
            _log.exception("version %s failed at request %s", self._model and self._model.version, request_id)
            answer, logged = _refusal(InvalidInput(f"the model failed on these rows: {type(error).__name__}: {error}")), {}
        record |= {"status_code": answer.status, "response": answer.body.decode(), **logged}
        record["execution_duration_ms"] = round((time.perf_counter() - start) * 1000)
        self._spool.write(record)
        version = self._model.version if self._model else "-"
        return Answer(answer.status, answer.body, {"x-request-id": request_id, "x-model-version": version})

    def _predict(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any]]:
        model = self._model
        if model is None:
            raise Unavailable("no version is loaded yet")
        question = parse(content_type, body, model.inputs)
        rows, versions = complete_online(model.spec or FeatureSpec(()), question.rows, self._online, model.functions)
        said = _features(model, rows) if model.raw is None else _prediction(model, rows, question.params)
        logged = {"features": msgspec.json.encode(plain(rows)).decode(), "client_request_id": question.client_request_id,
                  "feature_versions": msgspec.json.encode(dict(versions)).decode()}  # fmt: skip
        if question.request_time:
            logged["request_time"] = question.request_time
        return Answer(200, msgspec.json.encode(said), {}), logged


def _prediction(model: Model, rows: "pd.DataFrame", params: Mapping[str, Any] | None) -> dict[str, Any]:
    prediction = model.predict(rows, params)
    said: dict[str, Any] = {"predictions": prediction.listed()}
    if prediction.probabilities is not None:
        said["probabilities"] = prediction.probabilities.tolist()
    elif (names := prediction.class_names) and prediction.class_probabilities is not None:
        said["probabilities"] = [dict(zip(names, row, strict=True)) for row in prediction.class_probabilities.tolist()]
    return said


def _features(model: Model, rows: "pd.DataFrame") -> dict[str, Any]:
    spec = model.spec or FeatureSpec(())
    return {"outputs": plain(rows[[c.name for c in spec.input_columns if c.include and c.source is not Source.TRAINING_DATA]])}


def _refusal(error: BoathouseError) -> Answer:
    return Answer(error.http_status, msgspec.json.encode(error.to_dict(), enc_hook=str), {})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _reply(send: Send, answer: Answer) -> None:
    headers = [(b"content-type", b"application/json"), *((k.encode(), str(v).encode()) for k, v in answer.headers.items())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
