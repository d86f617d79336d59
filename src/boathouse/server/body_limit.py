"""How large a JSON body may be. Files, notebooks and packs are streamed to disk instead, and have limits of their own."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 32 * 1024 * 1024


class BodyLimit:
    """Answers 413 for a JSON body of more bytes, also where its length was not announced, before all of it is in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PATCH") or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413, f"a JSON body holds {MOST_BYTES // 1024**2} MiB at most")
            return message

        await self._app(scope, counted, send)


def _is_json(scope: Scope) -> bool:
    return any(key == b"content-type" and b"json" in value.lower() for key, value in scope["headers"])
