"""An OpenID Connect provider in a process of its own: oidc-provider-mock, whose tokens can be spoiled on their way out.

`PUT /spoil` takes what shall be wrong with the next tokens; `POST /sign` signs claims as a CI system would.
It adds to the mock what that leaves out: it holds the client to PKCE, and gives back what it was sent.
"""

import base64
import hashlib
import hmac
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import oidc_provider_mock
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

KEY, OTHER = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
NEW = RSAKey.generate_key(2048, {"kid": "two"})

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Provider:
    """The mock, with a hand on its tokens."""

    def __init__(self, mock: Wsgi) -> None:
        self._mock = mock
        self._spoil: dict[str, Any] = {}
        self._challenges: dict[str, str] = {}
        self._keys = [KEY]

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request = Request(environ)
        path = {"/spoil": self._set, "/sign": self._sign, "/jwks": self._jwks, "/oauth2/token": self._token}.get(request.path)
        if path:
            return path(request)(environ, start)
        response = Response.from_app(self._mock, environ)
        if request.path == "/oauth2/authorize" and "location" in response.headers:
            code = parse_qs(urlsplit(response.headers["location"]).query).get("code", [""])[0]
            self._challenges[code] = request.args.get("code_challenge", "")
        return response(environ, start)

    def _set(self, request: Request) -> Response:
        self._spoil = json.loads(request.data or "{}")
        return Response(status=204)

    def _sign(self, request: Request) -> Response:
        now = int(time.time())
        claims = {"iss": request.host_url.rstrip("/"), "iat": now, "exp": now + 300, **json.loads(request.data)}
        return Response(self._signed(claims))

    def _jwks(self, request: Request) -> Response:
        return Response(json.dumps({"keys": [k.as_dict(private=False) for k in self._keys]}), mimetype="application/json")

    def _token(self, request: Request) -> Response:
        request.get_data()  # kept, before the form is read
        verifier = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if self._challenges.get(request.form.get("code", "")) != challenge:
            return Response('{"error": "invalid_grant"}', 400, mimetype="application/json")
        environ = {**request.environ, "wsgi.input": io.BytesIO(request.get_data())}
        response = Response.from_app(self._mock, environ)
        body = json.loads(response.get_data())
        if "id_token" in body:
            word = body["id_token"].split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
            body["id_token"] = self._signed(claims)
        return Response(json.dumps(body), response.status_code, mimetype="application/json")

    def _signed(self, claims: dict[str, Any]) -> str:
        spoil = self._spoil
        claims = {**claims, **spoil.get("claims", {})}
        claims = {k: v for k, v in claims.items() if k not in spoil.get("without", ())}
        how = spoil.get("how", "")
        if how == "unsigned":
            return ".".join([_word({"alg": "none"}), _word(claims), ""])
        if how == "shared secret":  # the public key taken for a secret
            signed = f"{_word({'alg': 'HS256', 'kid': 'one'})}.{_word(claims)}"
            mac = hmac.new(KEY.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
            return f"{signed}.{_word(mac)}"
        if how == "new key":
            self._keys = [KEY, NEW]
        key = {"another's key": OTHER, "new key": NEW}.get(how, KEY)
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def _word(body: dict[str, Any] | bytes) -> str:
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    return base64.urlsafe_b64encode(given).decode().rstrip("=")


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, Provider(oidc_provider_mock.app()), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until whoever started it is gone, however that came about
