"""Who calls, by the word of the proxies in front of the panel."""

import pytest
from django.test import RequestFactory

from core.http import client_address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "6.6.6.6", "10.1.1.1"),  # no proxy in front that could have added it
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),  # Heroku appends; what was before is made up
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "2001:db8::7", "2001:db8::7"),
        (2, "6.6.6.6, 203.0.113.7, 172.16.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "10.1.1.1"),  # did not come through both
        (1, "6.6.6.6, nonsense", "10.1.1.1"),
        (1, "", "10.1.1.1"),
    ],
)
def test_the_address_is_what_the_trusted_proxy_says_and_never_what_the_visitor_says(
    proxies, forwarded, address, settings
):
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="10.1.1.1", headers={"x-forwarded-for": forwarded})
    assert client_address(request) == address
