"""The hunt covers every column that has a secret. A field that is added is put on a list here, or this fails.

Pages, calls and commands have lists of their own: ``NOT_OPENED`` in ``test_pages``, ``RUN`` and ``NOT_RUN`` in
``test_outputs``. Pages and calls are found by the resolver and by the OpenAPI document, so that one that is added is
walked, or fails for what it takes.
"""

import re

from django.apps import apps

from core.encryption import EncryptedTextField, models_with_secrets
from json_api.api import api
from tests.json_api.test_walk import TAKES
from tests.secrets.hunt import APP_KEY, DRAFT, PLANTED, PLANTED_PASSWORD, SIGNING_SECRET, TELEGRAM_TOKEN, WEBHOOK_PART

#: What is planted into each encrypted field.
ENCRYPTED = {
    "accounts.ExchangeKey.encrypted_values": PLANTED["bitmart_secret_key"],
    "accounts.ExchangeKey.previous_values": PLANTED["bitmart_secret_key"],
    "accounts.FormDraft.encrypted_values": DRAFT,
    "accounts.Server.password": PLANTED_PASSWORD,
    "controlpanel.Installation.canary": "canary",
    "controlpanel.SecondFactor.key": APP_KEY,
    "json_api.Webhook.address": WEBHOOK_PART,
    "json_api.Webhook.secret": SIGNING_SECRET,
    "notifications.Channel.secret": TELEGRAM_TOKEN,
}
#: A name that may be a secret's.
SMELLS = re.compile(
    r"key|secret|passw|token|hash|(?<!error_)code|credential|encrypt|session|cookie|login|private|auth|\bpin\b|salt"
)
#: Fields with such a name that are not encrypted, and why they need not be.
IN_CLEAR = {
    "accounts.Server.allow_unencrypted": "a choice",
    "audit.AuditEvent.hash": "of the row, for the chain",
    "audit.AuditEvent.previous_hash": "of the row before",
    "audit.ChainHead.hash": "of the newest row",
    "audit.ChainHead.pruned_hash": "of the last row that was pruned",
    "auth.Permission.codename": "a name",
    "auth.User.last_login": "a time",
    "auth.User.password": "a salted hash, as Django makes it",
    "axes.AccessLog.session_hash": "is not written (AXES_DISABLE_ACCESS_LOG), and a hash",
    "bots.Bot.runs_older_key": "an outcome",
    "bots.Deployment.key_fingerprint": "a keyed hash",
    "client_reports.ShareLink.token_hash": "a hash of 256 random bits",
    "controlpanel.Installation.secret_key_mark": "a keyed hash of a fixed text",
    "controlpanel.SecondFactor.recovery_hashes": "keyed hashes",
    "json_api.IdempotencyRecord.key": "chosen by a tool to tell its requests apart; opens nothing",
    "json_api.Token.hash": "a hash of 256 random bits",
    "notifications.Incident.code": "the code of a problem",
    "operations.Step.key": "the name of a step",
    "sessions.Session.session_data": "signed, without secrets; left out of backups",
    "sessions.Session.session_key": "Django's own: opens the panel until the session ends; left out of backups",
}


def test_every_encrypted_field_is_planted(planted):
    found = {f"{model._meta.label}.{field.name}" for model, fields in models_with_secrets() for field in fields}
    assert found == ENCRYPTED.keys()
    for name, secret in ENCRYPTED.items():
        label, _, field = name.rpartition(".")
        values = apps.get_model(label)._default_manager.values_list(field, flat=True)
        assert any(secret in str(value) for value in values), f"plant {name} in the fixture “planted”"


def test_a_field_whose_name_may_be_a_secrets_is_encrypted_or_has_a_reason():
    smelling = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
        if SMELLS.search(field.name) and not isinstance(field, EncryptedTextField) and not field.is_relation
    }
    assert smelling == IN_CLEAR.keys()


def test_every_call_of_the_json_api_is_walked():
    described = {
        f"{method.upper()} {path}" for path, calls in api.get_openapi_schema()["paths"].items() for method in calls
    }
    assert described == TAKES.keys()
