"""A provider of OpenID Connect on loopback: discovery, keys, tokens, and the ways in which one can lie."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

PERSON = {"sub": "person-1", "email": "mia@example.com", "email_verified": True}
CLIENT, SECRET = "panel", "planted-client-secret"


@cache
def _key() -> rsa.RSAPrivateKey:
    """One for all tests of a process: making it takes longer than most of them."""
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Provider:
    """Attributes:
    person: the claims about who signs in there.
    token: claims that the ID token has instead of the right ones.
    discovery: entries of its discovery document instead of the right ones.
    about: claims that its answer about the person has instead, or something that is no claims.
    answers: what it answers at an address instead of the right answer.
    asked: the forms that were sent for tokens.
    """

    url: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "person-1", "email": "mia@example.com", "email_verified": True}
    )
    token: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    about: Any = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(default_factory=_key)
    signs_with: rsa.RSAPrivateKey | None = None
    algorithm: str = "RS256"
    status: int = 200
    nonce: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, path: str) -> Any:
        match path:
            case replaced if replaced in self.answers:
                return self.answers[replaced]
            case "/.well-known/openid-configuration":
                return {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "jwks_uri": f"{self.url}/jwks",
                } | self.discovery
            case "/jwks":
                public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
                return {"keys": [public | {"kid": "1", "alg": "RS256", "use": "sig"}]}
            case "/token":
                return {"access_token": "planted-access-token", "id_token": self.id_token(), "token_type": "Bearer"}
            case "/userinfo":
                return self.person | self.about if isinstance(self.about, dict) else self.about
        raise ValueError(path)

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": self.person["sub"], "nonce": self.nonce}
        claims |= {"iat": now, "exp": now + 300} | self.token
        claims = {name: value for name, value in claims.items() if value is not None}
        key: Any = (self.signs_with or self.key) if self.algorithm.startswith("RS") else SECRET * 2
        return jwt.encode(claims, key if self.algorithm != "none" else None, self.algorithm, headers={"kid": "1"})


@contextmanager
def running() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(provider.answer(urlsplit(self.path).path)).encode()
            self.send_response(provider.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            provider.asked.append(parse_qs(sent))
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield provider
    server.shutdown()
    server.server_close()
