"""The fault matrix of the operations that ask no Hummingbot server: what a receiver of messages does to them."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth import get_user_model

from core.problems import Problem
from json_api.models import Webhook
from notifications.models import Channel, ChannelKind
from notifications.sending import http
from operations.models import State
from sandbox.faults import FAULTS
from tests.bots.operations.fault_cells import RECEIVERS
from tests.hummingbot_api.stub import Reply, Stub, running_stub

PATH = "planted-part-of-an-address"
HANGING = Reply(after=1.0)
#: What each of the sandbox's faults is with a receiver, and what is then reported; nothing when the message arrived.
FAULTY: dict[str, tuple[Reply, set[str]]] = {
    "wrong_password": (Reply({"error": f"no token for /{PATH}"}, 401), {"channel_refused", "webhook_refused"}),
    "refused_connection": (Reply(reset=True), {"channel_unreachable"}),
    "time_out_before": (HANGING, {"channel_unreachable"}),
    "time_out_after": (HANGING, {"channel_unreachable"}),
    "late": (HANGING, {"channel_unreachable"}),
    "server_error": (Reply("Internal Server Error", 500, content_type="text/plain"), {"channel_busy"}),
    "tunnel_offline": (
        Reply("<html>ERR_NGROK_3200</html>", 404, content_type="text/html"),
        {"channel_refused", "webhook_refused"},
    ),
    "tunnel_backend_down": (Reply("<html>ERR_NGROK_8012</html>", 502, content_type="text/html"), {"channel_busy"}),
    "route_missing": (Reply({"detail": "Not Found"}, 404), {"channel_refused", "webhook_refused"}),
    "truncated_json": (Reply({"ok": True, "id": 4711}, cut=9), set()),
    "slow": (Reply(after=0.05), set()),
}
#: What no receiver can do, with the reason.
OF_SERVERS = {
    "html_interstitial": "a receiver's 2xx, whatever comes with it, says that it has taken the message",
    "docker_down": "a receiver runs no bots",
    "mqtt_down": "a receiver runs no bots",
    "exchange_refuses_key": "a receiver gets no exchange key",
    "balances_unreadable": "a receiver is asked for no balances",
    "exchange_unreachable": "a receiver asks no exchange",
}


@pytest.fixture
def receiver() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def make(db: None, receiver: Stub) -> Callable[[str], Channel | Webhook]:
    def make(kind: str) -> Channel | Webhook:
        address = f"{receiver.url}/{PATH}"
        if kind == "test_channel":
            return Channel.objects.create(name="Alerts", kind=ChannelKind.WEBHOOK, secret=address)
        webhook = Webhook(user=get_user_model().objects.create_superuser("root"), name="status page", address=address)
        webhook.renew_secret()
        webhook.save()
        return webhook

    return make


def test_every_fault_is_known_here():
    assert FAULTY.keys() | OF_SERVERS.keys() == FAULTS.keys()
    assert not FAULTY.keys() & OF_SERVERS.keys()


@pytest.mark.parametrize("kind", RECEIVERS)
@pytest.mark.parametrize("fault", FAULTY)
def test_a_test_message_that_a_fault_meets(fault, kind, make, perform, receiver, monkeypatch, retry):
    monkeypatch.setattr(http, "TIMEOUT", (1, 0.3))
    reply, codes = FAULTY[fault]
    subject = make(kind)
    receiver.will(reply)
    operation = perform(kind, subject)
    assert (operation.state == State.SUCCEEDED) is (not codes), (operation.error_code, operation.error_message)
    if codes:
        assert operation.error_code in codes
        assert Problem.with_code(operation.error_code) is not None
        assert operation.error_message and operation.error_remedy
        assert PATH not in f"{operation.error_message} {operation.error_remedy} {operation.summary}"
        receiver.will(Reply())
        assert retry(operation).state == State.SUCCEEDED
    assert len(receiver.seen) == (2 if codes else 1)
