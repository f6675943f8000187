"""Who trades, where, and with which keys."""

from accounts.models.balance import Balance
from accounts.models.client import Client, ClientStatus, validate_name
from accounts.models.controller import Controller
from accounts.models.exchange_key import EXPIRY_NOTICE, ExchangeKey, KeyState, Renewal
from accounts.models.form_draft import FormDraft
from accounts.models.profile import CredentialsProfile, PushedKey
from accounts.models.server import VERSION_LENGTH, Server, ServerQuerySet, validate_base_url

__all__ = [
    "EXPIRY_NOTICE",
    "VERSION_LENGTH",
    "Balance",
    "Client",
    "ClientStatus",
    "Controller",
    "CredentialsProfile",
    "ExchangeKey",
    "FormDraft",
    "KeyState",
    "PushedKey",
    "Renewal",
    "Server",
    "ServerQuerySet",
    "validate_base_url",
    "validate_name",
]
