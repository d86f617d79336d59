"""The model server of one endpoint: a bare ASGI app. The log is written before the answer."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from boathouse import clock
from boathouse.errors import BoathouseError, InvalidInput, NotFound, TooManyRequests, Unavailable
from boathouse.features import FeatureSpec, Lookups, Source
from boathouse.scoring import Model
from boathouse.serving.hang_up import HangUp
from boathouse.serving.online_completion import OnlineCompletion
from boathouse.serving.payload import Question, encode, parse
from boathouse.serving.rows import Rows
from boathouse.serving.spool import Spool
from boathouse.serving.turns import Turns

_log = logging.getLogger(__name__)
ONLINE, SHADOW = "online", "shadow"
"""How a request came: its answer goes to a caller, or to the log alone."""
_BRIEF = 16 << 10
"""So many bytes of a request that is only looked up are read in the loop: some hundred rows."""
_AGAIN = 5
"""Seconds after which a full disk may have room."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it goes out."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A version, and what completes its rows."""

    model: Model
    completion: OnlineCompletion
    namings: tuple[tuple[str, ...], ...]
    """What the values of a row can be that is a bare list: the model's inputs, or what a request has to carry."""
    outputs: tuple[str, ...] = field(default=())
    """Of a feature spec alone, what is answered."""
    maps: tuple[str, ...] = field(default=())
    """Those of them that are maps."""

    @property
    def looks_up_alone(self) -> bool:
        """Whether nothing is computed, by a model or by someone's function, which may take their time."""
        return self.model.raw is None and self.model.functions is None


class ModelServer:
    """Answers `/invocations` with the loaded version; `/load` brings another, which takes over when it is warm."""

    def __init__(self, endpoint: str, load: Callable[[int], Model], online: Lookups, spool: Spool, key: str,
                 queue: int = 256) -> None:  # fmt: skip
        """At most `queue` requests wait for the model at a time."""
        self._endpoint = endpoint
        self._load = load
        self._online = online
        self._key = key.encode()
        self._loaded: _Loaded | None = None
        self._turns = Turns(self._invoke, spool.write, spool.sync if spool.durable else None, most=queue)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        headers = dict(scope["headers"])
        path = scope["path"]
        if path == "/ping":
            answer = Answer(200, b"{}")
        elif headers.get(b"x-boathouse-key") != self._key:
            answer = _refusal(NotFound("this server answers the platform only"))
        elif path == "/load":
            answer = await asyncio.get_running_loop().run_in_executor(self._loader, self._bring, body)
        else:
            try:
                with HangUp(receive):
                    answer = await self._ask(headers, body)
            except ConnectionResetError:
                return
        await _reply(send, answer)

    async def _ask(self, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        loaded = self._loaded
        brief = loaded is not None and loaded.looks_up_alone and len(body) <= _BRIEF
        try:
            return await (self._turns.at_once if brief else self._turns.ask)((headers, body))
        except OSError as error:
            return _refusal(Unavailable(f"the request could not be logged, so it is not answered: {error}", retry_after=_AGAIN))
        except TooManyRequests as error:
            return _refusal(error)

    def _bring(self, body: bytes) -> Answer:
        number, began = int(msgspec.json.decode(body)["version"]), time.perf_counter()
        _log.info("loading version %s", number)
        try:
            self._loaded = self._ready(self._load(number))
        except BaseException as error:  # sys.exit() in someone's code ends neither thread nor server
            _log.exception("version %s does not load", number)
            return _refusal(Unavailable(f"the version does not load: {type(error).__name__}: {error}"))
        _log.info("version %s answers after %.1f s", number, time.perf_counter() - began)
        return Answer(200, b"{}")

    def _ready(self, model: Model) -> _Loaded:
        spec = model.spec or FeatureSpec(())
        answered = [c for c in spec.input_columns if c.include and c.source is not Source.TRAINING_DATA]
        outputs, maps = tuple(c.name for c in answered), tuple(c.name for c in answered if c.data_type.startswith("map<"))
        completion = OnlineCompletion(spec, self._online, model.functions)
        return _Loaded(model, completion, (model.inputs, spec.required_inputs), outputs, maps)

    def _invoke(self, asked: tuple[Mapping[bytes, bytes], bytes]) -> tuple[Answer, bytes]:
        """The answer to a request, and its line in the log."""
        headers, body = asked
        loaded = self._loaded
        request_id = headers.get(b"x-request-id", b"").decode("latin-1") or uuid.uuid4().hex
        version = loaded.model.version if loaded else None
        began, start = clock.now(), time.perf_counter()
        question: Question | None = None
        try:
            if loaded is None:
                raise Unavailable("no version is loaded yet")
            question = parse(headers.get(b"content-type", b"").decode("latin-1"), body, *loaded.namings)
            answer, logged = _predict(loaded, question)
        except BoathouseError as error:
            _log.warning("request %s was refused: %s", request_id, error)
            answer, logged = _refusal(error), {}
        except BaseException as error:
            _log.exception("version %s failed at request %s", version, request_id)
            answer, logged = _refusal(InvalidInput(f"the model failed on these rows: {type(error).__name__}: {error}")), {}
        shadow_of, requester = headers.get(b"x-boathouse-shadow-of"), headers.get(b"x-boathouse-requester")
        record = {
            "request_id": request_id, "request_time": began.isoformat(), "endpoint": self._endpoint, "model_version": version,
            "requester": requester and requester.decode(errors="replace"), "request": body.decode(errors="replace"),
            "mode": ONLINE if shadow_of is None else SHADOW, "shadow_of": shadow_of and shadow_of.decode("latin-1"),
            "client_request_id": question and question.client_request_id,
            "status_code": answer.status, "response": answer.body.decode(), **logged,
            "execution_duration_ms": round((time.perf_counter() - start) * 1000),
        }  # fmt: skip
        told = ((b"x-request-id", request_id.encode("latin-1")), (b"x-model-version", (version or "-").encode()))
        return Answer(answer.status, answer.body, told), msgspec.json.encode(record)


def _predict(loaded: _Loaded, question: Question) -> tuple[Answer, dict[str, Any]]:
    model = loaded.model
    rows, versions = loaded.completion.complete(question.rows)
    said = {"outputs": _outputs(loaded, rows)} if model.raw is None else _prediction(model, rows, question)
    logged = {"features": encode(rows.records()).decode(), "feature_versions": encode(versions).decode()}
    if question.request_time:
        logged["request_time"] = question.request_time
    return Answer(200, encode(said)), logged


def _outputs(loaded: _Loaded, rows: Rows) -> list[dict[str, Any]]:
    """What a feature spec answers; a map is an object, not the pairs that Arrow makes of it."""
    found = rows.records(loaded.outputs)
    for record in found if loaded.maps else ():
        record.update({name: dict(record[name]) for name in loaded.maps if isinstance(record[name], list)})
    return found


def _prediction(model: Model, rows: Rows, question: Question) -> dict[str, Any]:
    try:
        prediction = model.predict(rows.to_frame(), question.params)
    except InvalidInput:
        raise
    except Exception as error:
        if misfit := model.misfit(rows.columns):
            raise InvalidInput(f"{misfit} ({type(error).__name__}: {error})") from error
        raise
    said: dict[str, Any] = {"predictions": prediction.listed()}
    if prediction.probabilities is not None:
        said["probabilities"] = prediction.probabilities.tolist()
    elif (names := prediction.class_names) and prediction.class_probabilities is not None:
        said["probabilities"] = [dict(zip(names, row, strict=True)) for row in prediction.class_probabilities.tolist()]
    return said


def _refusal(error: BoathouseError) -> Answer:
    again = error.details.get("retry_after")
    told = () if again is None else ((b"retry-after", b"%d" % again),)
    return Answer(error.http_status, msgspec.json.encode(error.to_dict(), enc_hook=str), told)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _reply(send: Send, answer: Answer) -> None:
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [(b"content-type", b"application/json"), length, *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
