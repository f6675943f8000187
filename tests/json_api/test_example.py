"""The example for tools verifies what the panel signs."""

import time

import pytest

from docs.examples.panel import verify
from json_api.webhooks.sender import signature

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="


def signed(body: str = '{"type": "x"}', age: int = 0) -> tuple[dict[str, str], bytes]:
    timestamp = str(int(time.time()) - age)
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": signature(SECRET, "evt_1", timestamp, body),
    }
    return headers, body.encode()


def test_what_the_panel_signs_is_taken():
    headers, body = signed()
    assert verify(SECRET, headers, body)
    assert verify(SECRET, headers | {"Webhook-Signature": f"v1,another {headers['Webhook-Signature']}"}, body)


@pytest.mark.parametrize(
    "forged",
    [{"Webhook-Id": "evt_2"}, {"Webhook-Timestamp": "1"}, {"Webhook-Timestamp": "x"}, {"Webhook-Signature": "v1,é"}],
)
def test_what_anybody_else_sends_is_not(forged):
    headers, body = signed()
    assert not verify(SECRET, headers | forged, body)
    assert not verify(SECRET, headers, body + b" ")
    assert not verify("whsec_YW5vdGhlcg==", headers, body)


def test_a_message_that_is_sent_again_much_later_is_not_taken():
    headers, body = signed(age=600)
    assert not verify(SECRET, headers, body)


def test_the_signature_is_the_one_of_the_standard():
    """With the values of the documentation of the convention's own libraries."""
    given = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        '{"test": 2432232314}',
    )
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
