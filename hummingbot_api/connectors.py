"""The known connectors, before any server was read. A server's own answer takes precedence."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from hummingbot_api.results import ConnectorField

#: The required secrets, each the connector's name followed by one of these words.
_SECRETS = {
    "binance": "api_key api_secret",
    "binance_perpetual": "api_key api_secret",
    "binance_perpetual_testnet": "api_key api_secret",
    "bitget": "api_key secret_key passphrase",
    "bitget_perpetual": "api_key secret_key passphrase",
    "bitmart": "api_key secret_key memo",
    "bitmart_perpetual": "api_key api_secret memo",
    "bybit": "api_key api_secret",
    "bybit_perpetual": "api_key secret_key",
    "bybit_testnet": "api_key api_secret",
    "coinbase_advanced_trade": "api_key api_secret",
    "dexalot": "api_key api_secret",
    "dydx_v4_perpetual": "secret_phrase chain_address",
    "gate_io": "api_key secret_key",
    "gate_io_perpetual": "api_key secret_key user_id",
    "htx": "api_key secret_key",
    "hyperliquid": "address secret_key",
    "hyperliquid_perpetual": "address secret_key",
    "kraken": "api_key secret_key",
    "kucoin": "api_key secret_key passphrase",
    "kucoin_perpetual": "api_key secret_key passphrase",
    "mexc": "api_key api_secret",
    "okx": "api_key secret_key passphrase",
    "okx_perpetual": "api_key secret_key passphrase",
}
_WALLET_MODES = ("arb_wallet", "api_wallet")
_OPTIONS = {
    "coinbase_advanced_trade": (ConnectorField("use_auth_for_public_endpoints", "bool", False),),
    "hyperliquid": (
        ConnectorField("hyperliquid_mode", "Literal", False, _WALLET_MODES),
        ConnectorField("use_vault", "bool", False),
    ),
    "hyperliquid_perpetual": (
        ConnectorField("hyperliquid_perpetual_mode", "Literal", False, _WALLET_MODES),
        ConnectorField("use_vault", "bool", False),
    ),
    "kraken": (ConnectorField("kraken_api_tier", "str", False),),
    "okx": (ConnectorField("okx_registration_sub_domain", "Literal", False, ("www", "app", "my")),),
}

KNOWN_CONNECTORS: dict[str, tuple[ConnectorField, ...]] = {
    connector: (
        *(ConnectorField(f"{connector}_{word}", "SecretStr", True) for word in words.split()),
        *_OPTIONS.get(connector, ()),
    )
    for connector, words in _SECRETS.items()
}

#: The fields of a connector's nested model, by its class. A server names the class and reports nothing else; read in
#: the connectors' ``*_utils.py`` of hummingbot/hummingbot. A model without fields is chosen by its title alone.
_MODELS: dict[str, tuple[str, tuple[ConnectorField, ...]]] = {
    "InjectiveDelegatedAccountMode": (
        "delegate_account",
        (
            ConnectorField("private_key", "SecretStr", True),
            ConnectorField("subaccount_index", "int", True),
            ConnectorField("granter_address", "str", True),
            ConnectorField("granter_subaccount_index", "int", True),
        ),
    ),
    "InjectiveVaultAccountMode": (
        "vault_account",
        (
            ConnectorField("private_key", "SecretStr", True),
            ConnectorField("subaccount_index", "int", True),
            ConnectorField("vault_contract_address", "str", True),
        ),
    ),
    "InjectiveReadOnlyAccountMode": ("read_only_account", ()),
    "InjectiveMainnetNetworkMode": ("mainnet_network", ()),
    "InjectiveTestnetNetworkMode": (
        "testnet_network",
        (ConnectorField("testnet_node", "Literal", True, ("lb", "sentry")),),
    ),
    "InjectiveCustomNetworkMode": (
        "custom_network",
        (
            *(
                ConnectorField(name, "str", True)
                for name in (
                    *("lcd_endpoint", "tm_websocket_endpoint", "grpc_endpoint", "grpc_exchange_endpoint"),
                    *("grpc_explorer_endpoint", "chain_stream_endpoint", "chain_id", "env"),
                )
            ),
            ConnectorField("secure_connection", "bool", True),
        ),
    ),
    "InjectiveSimulatedTransactionFeeCalculatorMode": ("simulated_transaction_fee_calculator", ()),
    "InjectiveMessageBasedTransactionFeeCalculatorMode": ("message_based_transaction_fee_calculator", ()),
}
#: A mark for Hummingbot itself, which takes no other value than its default.
NOT_ENTERED = {"receive_connector_configuration"}


def modes_of(field: ConnectorField) -> dict[str, tuple[ConnectorField, ...]]:
    """Return the choices for a group of fields, with the fields of each choice; empty for any other field, and for an
    unknown group, which is entered as JSON.
    """
    if field.kind != "object":
        return {}
    classes = re.findall(r"\.(\w+)(?=[,\]\s]|$)", field.type)
    return dict(_MODELS[name] for name in classes) if set(classes) <= set(_MODELS) else {}


def entries(fields: Iterable[ConnectorField]) -> tuple[ConnectorField, ...]:
    """Return the fields as they are entered, one value each: a group by its choice, and by ``group.field``."""
    entered = []
    for field in fields:
        modes = modes_of(field)
        if field.name not in NOT_ENTERED:
            entered.append(replace(field, type="Literal", allowed_values=tuple(modes)) if modes else field)
        named = {inner.name: inner for inners in modes.values() for inner in inners}
        entered += [replace(inner, name=f"{field.name}.{name}", required=False) for name, inner in named.items()]
    return tuple(entered)


def choice_for(name: str, fields: Iterable[ConnectorField]) -> str:
    """Return the choices of its group that require ``group.field``, with commas; empty for a field of no group."""
    group, _, inner = name.partition(".")
    modes = next((modes_of(field) for field in fields if field.name == group), {}) if inner else {}
    return ", ".join(title for title, asked in modes.items() if inner in {field.name for field in asked})


#: Exchanges whose order books Hummingbot can trade with simulated money. Servers do not list these connectors.
PAPER_TRADE = ("binance_paper_trade", "gate_io_paper_trade", "kraken_paper_trade", "kucoin_paper_trade")


class AccountType(Enum):
    """The account type of a bot on a connector; the value is a label."""

    REAL = "live"
    PAPER = "paper"
    TESTNET = "testnet"


@dataclass(frozen=True)
class Market:
    """What a connector's name means.

    Attributes:
        exchange: Hummingbot's name for it: ``binance`` for ``binance_perpetual_testnet``.
        perpetual: trades futures without an end, with leverage; spot otherwise.
    """

    exchange: str
    perpetual: bool
    account_type: AccountType


_ENDINGS = {"_paper_trade": AccountType.PAPER, "_testnet": AccountType.TESTNET, "_sandbox": AccountType.TESTNET}


def market_of(connector: str) -> Market:
    """Return where and with what a connector trades. A name without a marker means real money."""
    resolution = next((resolution for resolution in _ENDINGS if connector.endswith(resolution)), "")
    name = connector.removesuffix(resolution)
    return Market(
        exchange=name.removesuffix("_perpetual"),
        perpetual="perpetual" in name,
        account_type=_ENDINGS.get(resolution, AccountType.REAL),
    )


def is_paper_trade(connector: str) -> bool:
    """Return whether the connector simulates its fills. It needs no key; servers do not list it."""
    return market_of(connector).account_type is AccountType.PAPER


def real_exchange(connector: str) -> str:
    """Return the connector whose market a paper trade connector simulates; for any other, the connector itself."""
    return connector.removesuffix("_paper_trade")
