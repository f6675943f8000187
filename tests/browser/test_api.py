"""The JSON API as it is documented: every call of docs/api.md against the demo."""

import json
import os
import re
import subprocess

import pytest

from tests.browser.conftest import ROOT, Demo
from tests.hummingbot_api.stub import Stub, running_stub

DOCUMENT = (ROOT / "docs" / "api.md").read_text()
#: What must have happened before a call: an operation that is worked on, one that failed, a message that was given up.
#: Each prints the number that the call is for.
BEFORE = {
    "/operations/1/cancel": """
from datetime import timedelta
from django.utils.timezone import now
from bots.models import Bot
from operations.models import Operation
newest = Operation.objects.of(Bot.objects.get(pk=2)).latest("pk")
# Of a worker that is not there: the real one may be about to end it.
Operation.objects.filter(pk=newest.pk).update(state="running", worker="x", lease_until=now() + timedelta(hours=1))
print(newest.pk)
""",
    "/operations/1/retry": """
from operations.models import Operation
newest = Operation.objects.get(cancel_requested=True)
Operation.objects.filter(pk=newest.pk).update(state="failed")
print(newest.pk)
""",
    "/batches/1/cancel": """
from datetime import timedelta
from django.utils.timezone import now
from operations.models import Batch, Operation
newest = Batch.objects.latest("pk")
active = {"state": "running", "worker": "x", "lease_until": now() + timedelta(hours=1), "finished_at": None}
Operation.objects.filter(batch=newest).update(**active)
print(newest.pk)
""",
    "/batches/1/retry": """
from operations.models import Batch, Operation
newest = Batch.objects.latest("pk")
Operation.objects.filter(batch=newest).update(state="failed", cancel_requested=False)
print(newest.pk)
""",
    "/emergency-stops/1": """
from bots.models import EmergencyStop
print(EmergencyStop.objects.latest("pk").pk)
""",
    "/deliveries/1/retry": """
from django.utils.timezone import now
from json_api.models import WebhookDelivery
print(WebhookDelivery.objects.create(webhook_id=1, event_id="evt_given_up", state="failed", occurred_at=now()).pk)
""",
}

#: A call that the demo has no cause for, and its error there: the demo's server can read the keys that it stored.
REFUSED = {"/clients/1/profile/recreate": "profile_readable"}


def calls() -> list[str]:
    """Each curl of the document, as one line of shell."""
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [call for block in blocks for call in re.split(r"\n(?=curl)", block.strip())]


def prepared(call: str, demo: Demo, receiver: Stub) -> str:
    """The call as it can succeed in the demo: for something that it can be about, and with a receiver that answers."""
    for place, script in BEFORE.items():
        if place in call:
            number = demo.manage("shell", "--no-imports", "-c", script)
            call = call.replace(place, place.replace("/1/", f"/{number}/"))
    return call.replace("https://status.example.com", receiver.url)


@pytest.mark.full("every call of docs/api.md: the sample client in a shorter run")
def test_every_documented_call_works_unchanged(demo: Demo) -> None:
    scopes = [word for scope in ("read", "deploy", "keys", "admin") for word in ("--scope", scope)]
    token = demo.manage("token", "--user", "admin", "--name", "every documented call", *scopes)
    environment = os.environ | {"PANEL": demo.url, "TOKEN": token}
    failures = []
    with running_stub() as receiver:
        for call in calls():
            command = prepared(call, demo, receiver).replace("curl -sS", "curl -sS -w '\\n%{http_code}'", 1)
            answer = subprocess.run(
                ["sh", "-c", command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            body, _, status = answer.stdout.rpartition("\n")
            refusal = next((code for place, code in REFUSED.items() if place in call), None)
            answered = json.loads(body) if body else {}
            right = answered.get("code") == refusal if refusal else status in {"200", "201", "202", "204"}
            if not right:
                failures.append(f"{status} {call}\n{body}")
    assert not failures, "\n\n".join(failures)
