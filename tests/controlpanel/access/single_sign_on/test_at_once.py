"""Signing in at a provider while somebody else acts on the same user."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError

from controlpanel.access.single_sign_on import SingleSignOnBackend
from controlpanel.models import Identity
from tests.controlpanel.access.single_sign_on.test_single_sign_on import (
    is_inside,
    mia,
    provider,
    sentence,
    sign_in,
    with_roles,
)
from tests.controlpanel.conftest import meanwhile

pytestmark = pytest.mark.django_db


def test_a_role_that_is_taken_away_meanwhile_does_not_come_back(with_roles, mia, meanwhile):
    own = Group.objects.create(name="Host's own")
    mia.groups.add(own)
    done = meanwhile(lambda: mia.groups.remove(own) or Identity.objects.exists())
    sign_in(with_roles)
    assert done == ["begun", False] and [group.name for group in mia.groups.all()] == ["Account manager"]


def test_who_is_suspended_meanwhile_does_not_get_in(provider, mia, meanwhile):
    done = meanwhile(lambda: User.objects.update(is_active=False))
    browser, _ = sign_in(provider)
    assert done and not is_inside(browser) and "suspended" in sentence(browser)


def test_whose_user_is_deleted_meanwhile_has_no_account(provider, mia, meanwhile):
    done = meanwhile(lambda: User.objects.all().delete())
    browser, _ = sign_in(provider)
    assert done and not is_inside(browser) and "no account" in sentence(browser)


def test_of_two_first_sign_ins_of_one_person_both_get_in(with_roles, monkeypatch):
    """The second finds that the first has just created the user."""
    create, tries = SingleSignOnBackend._new_user, []

    def create_late(self, claims):
        tries.append(create(self, claims))
        if len(tries) == 1:
            raise IntegrityError("auth_user_username_key")
        return tries[-1]

    monkeypatch.setattr(SingleSignOnBackend, "_new_user", create_late)
    browser, _ = sign_in(with_roles)
    assert is_inside(browser) and len(tries) == 2
