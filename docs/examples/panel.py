"""A small client for the panel's JSON API, to copy into a tool of your own. It needs Python 3.11 and requests.

PANEL=https://panel.example.com TOKEN=hbp_... python panel.py "Sharp Spread" client_sharp bitmart SHARP/USDT
"""

import base64
import hashlib
import hmac
import os
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests

Json = dict[str, Any]


class PanelProblem(Exception):
    """The panel's answer to what it can't do: a stable code, what happened, and what to do about it."""

    def __init__(self, problem: Json) -> None:
        self.code: str = problem["code"]
        self.retryable: bool = problem["retryable"]
        self.errors: dict[str, str] = {error["field"]: error["message"] for error in problem["errors"]}
        fields = "".join(f"\n{name}: {message}" for name, message in self.errors.items())
        super().__init__(f"{problem['detail']} [{self.code}] {problem['remedy']}{fields}")


@dataclass
class Panel:
    """The panel at an address, as the user that the token belongs to."""

    address: str
    token: str = field(repr=False)

    def call(self, method: str, path: str, *, body: Json | None = None, headers: dict[str, str] | None = None) -> Json:
        """Return one call.

        Raises:
            PanelProblem: the panel said no.
            requests.RequestException: there was no answer; whether it was done is not known.
        """
        answer = requests.request(
            method,
            f"{self.address}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}", **(headers or {})},
            timeout=40,  # the panel waits for an operation for 25 seconds at the most
        )
        if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
            raise PanelProblem(answer.json())
        answer.raise_for_status()
        result: Json = answer.json() if answer.content else {}
        return result

    def create_bot(self, wanted: Json, key: str | None = None) -> Json:
        """Define and deploy a bot, and follow that to its end.

        Args:
            key: made once for each bot that is wanted, and kept until this returns: however often the call is repeated
                with it, also after a crash, one bot comes of it.

        Raises:
            PanelProblem: the deployment failed, or was refused.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        for attempt in range(3):
            try:
                answer = self.call("POST", "/bots/create", body=wanted, headers=headers)
                break
            except requests.RequestException:
                if attempt == 2:
                    raise
                time.sleep(2**attempt)
        if answer["url"].startswith("/operations/"):  # it takes longer than the panel waits
            self.follow(answer["url"])
            # The same request with the same key: the bot after a success, the problem after a failure.
            answer = self.call("POST", "/bots/create", body=wanted, headers=headers)
        return answer

    def follow(self, operation_url: str, every: float = 2) -> Json:
        """Return the operation when it has ended, however that was."""
        while (operation := self.call("GET", operation_url))["state"] in {"queued", "running"}:
            time.sleep(every)
        return operation


def verify(secret: str, headers: dict[str, str], body: bytes, tolerance: float = 300) -> bool:
    """Return whether a webhook's message comes from the panel and is new.

    Args:
        headers: of the request. Their names are compared as they are written here.
        body: as it came, byte for byte, before it is parsed.
        tolerance: how many seconds old it may be. Keep the ids that were handled for longer than that, and leave out
            what comes again: a message is sent until it was answered with a status from 200 to 299.
    """
    message_id, timestamp = headers.get("Webhook-Id", ""), headers.get("Webhook-Timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > tolerance:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers.get("Webhook-Signature", "").split()
    return any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in given)


if __name__ == "__main__":
    name, account, connector, pair = sys.argv[1:5]
    panel = Panel(os.environ["PANEL"], os.environ["TOKEN"])
    try:
        bot = panel.create_bot(
            {
                "name": name,
                "account": account,
                "connector": connector,
                "pair": pair,
                "strategy": "spread",
                "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
            }
        )
    except PanelProblem as problem:
        sys.exit(str(problem))
    sys.stdout.write(f"{bot['name']} is {bot['state']} as {bot['instance']}.\n")
