"""Answers of a provider that are JSON and not what they should be: nobody is signed in, and the page says so."""

import pytest
from django.test import Client as Browser
from django.urls import reverse

from tests.controlpanel.access.single_sign_on.test_single_sign_on import (
    is_inside,
    mia,  # noqa: F401 - a fixture
    provider,  # noqa: F401 - a fixture
    sentence,
    sign_in,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mia")]

NO_OBJECT = [[], ["id_token"], "id_token", 1, 0, None, True]


@pytest.mark.parametrize("answer", [*NO_OBJECT, {}, {"id_token": ["x"]}, {"id_token": {}}, {"id_token": 1}], ids=str)
def test_an_answer_that_has_no_token_is_rejected(provider, answer):  # noqa: F811
    provider.answers["/token"] = answer
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "Example Inc. did not confirm the sign-in. Try again." in sentence(browser)


@pytest.mark.parametrize(
    "keys", [*NO_OBJECT, {}, *({"keys": value} for value in (*NO_OBJECT, [1], [[]], [{}]))], ids=str
)
def test_an_answer_that_has_no_keys_is_rejected(provider, keys):  # noqa: F811
    provider.answers["/jwks"] = keys
    browser, _ = sign_in(provider)
    assert not is_inside(browser)
    assert "Example Inc. did not confirm the sign-in. Try again." in sentence(browser)


@pytest.mark.parametrize("document", [*NO_OBJECT, {}], ids=str)
def test_a_discovery_document_that_is_none_is_not_used(provider, document):  # noqa: F811
    provider.answers["/.well-known/openid-configuration"] = document
    browser = Browser()
    assert browser.get(reverse("single_sign_on")).status_code == 302
    assert "Example Inc." in sentence(browser)
