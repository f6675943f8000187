"""A text that is too long to be searched for is refused by lists, Django's completion of names, and Ctrl+K."""

import pytest
from django.contrib import admin
from django.urls import reverse

from core.admin.base import MAX_TERM
from tests.controlpanel.conftest import make_world, text_of

ADDRESSES = [
    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") + "?q="
    for model, lists in admin.site._registry.items()
    if lists.search_fields
]
#: No form of the panel asks for it, but it answers: for each relation to a model whose list can be searched.
COMPLETED = [
    f"{reverse('admin:autocomplete')}?app_label={model._meta.app_label}&model_name={model._meta.model_name}"
    f"&field_name={field.name}&term="
    for model in admin.site._registry
    for field in model._meta.fields
    if field.remote_field and getattr(admin.site._registry.get(field.related_model), "search_fields", ())
]


@pytest.mark.parametrize("address", [*ADDRESSES, *COMPLETED, "/admin/search/?s="])
def test_a_text_that_is_too_long_is_refused_and_no_error(address, admin_client, admin_user):
    make_world("Sharp", admin_user)
    admin_client.raise_request_exception = False
    assert ADDRESSES and COMPLETED
    for text in ("x" * 100_000, "%25" * 30_000, "x+" * 50_000, "ü" * 40_000):
        assert admin_client.get(address + text).status_code == 400
    assert "it can have 1000 characters at most" in text_of(admin_client.get(address + "x" * 1001))
    assert admin_client.get(address + "%25" * MAX_TERM).status_code == 200
    assert admin_client.get(address + "ü" * MAX_TERM).status_code == 200
