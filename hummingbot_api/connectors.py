"""What is known of connectors before any server was asked. A server's own answer goes first."""

from dataclasses import dataclass
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

#: Exchanges whose order books Hummingbot can trade with simulated money. Servers do not list these connectors.
PAPER_TRADE = ("binance_paper_trade", "gate_io_paper_trade", "kraken_paper_trade", "kucoin_paper_trade")


class Money(Enum):
    """What a bot on a connector trades with; the value is for people."""

    REAL = "real money"
    PAPER = "paper trade"
    TESTNET = "test network"


@dataclass(frozen=True)
class Market:
    """What a connector's name says.

    Attributes:
        exchange: Hummingbot's name for it: ``binance`` for ``binance_perpetual_testnet``.
        perpetual: trades futures without an end, with leverage; spot otherwise.
    """

    exchange: str
    perpetual: bool
    money: Money


_ENDINGS = {"_paper_trade": Money.PAPER, "_testnet": Money.TESTNET, "_sandbox": Money.TESTNET}


def market_of(connector: str) -> Market:
    """Where and with what a connector trades. A name that does not say otherwise means real money."""
    ending = next((ending for ending in _ENDINGS if connector.endswith(ending)), "")
    name = connector.removesuffix(ending)
    return Market(
        exchange=name.removesuffix("_perpetual"),
        perpetual="perpetual" in name,
        money=_ENDINGS.get(ending, Money.REAL),
    )


def is_paper_trade(connector: str) -> bool:
    """Whether the connector simulates its fills. It needs no key; servers do not list it."""
    return market_of(connector).money is Money.PAPER


def real_exchange(connector: str) -> str:
    """The connector whose market a paper trade connector simulates; any other is its own."""
    return connector.removesuffix("_paper_trade")
