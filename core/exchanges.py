"""What a user needs to know to create a key at an exchange. The available connectors are in ``connectors``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from hummingbot_api.connectors import AccountType, market_of


@dataclass(frozen=True)
class FieldWords:
    """The labels of one value of a key.

    Attributes:
        help: where it is found, or what to choose.
        choices: the labels of a ``Literal``'s values.
    """

    label: str
    help: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange:
    """How keys are created at one exchange.

    Attributes:
        name: as its customers know it.
        where: the path to the page where keys are created.
        allow: what to tick for spot trading; empty where there is nothing to tick.
        allow_perpetual: what to tick for perpetual futures.
        url: that page's address, where it is known for certain.
        test_url: the same for the test network, which has keys of its own.
        binds: whether a key can be bound to addresses. A wallet's key can't.
        withdraws: whether the exchange offers keys that can't withdraw. A wallet's own key always can.
        note: what else to know about it.
        fields: the labels of its own additional values, or of those that it names differently.
    """

    name: str
    where: str
    allow: str = "reading and trading"
    allow_perpetual: str = "reading and futures trading"
    url: str = ""
    test_url: str = ""
    binds: bool = True
    withdraws: bool = False
    note: str = ""
    fields: Mapping[str, FieldWords] = field(default_factory=dict)


#: The values that most exchanges require, by the end of the field's name.
_FIELDS = {
    "api_key": FieldWords("API key", "Also called access key."),
    "api_secret": FieldWords("Secret key", "Shown only once, when you create the key."),
    "secret_key": FieldWords("Secret key", "Shown only once, when you create the key."),
    "private_key": FieldWords("Private key"),
    "passphrase": FieldWords("Passphrase", "The one you chose for this key, not your account password."),
    "memo": FieldWords("Memo", "The memo or name that you chose when you created the key."),
    "user_id": FieldWords("User ID", "The account number, shown in the account's profile."),
    "use_auth_for_public_endpoints": FieldWords(
        "Also sign requests for public data", "Leave this off unless the exchange requires it."
    ),
}
_WALLET_KEY = FieldWords("Wallet's private key", "It controls all funds in the wallet.")
_HYPERLIQUID_WAYS = FieldWords(
    "Signing method",
    "An API wallet can trade but can't withdraw. Use it whenever you can.",
    {"api_wallet": "with an API wallet", "arb_wallet": "with the account's own wallet"},
)

EXCHANGES = {
    "binance": Exchange(
        "Binance",
        "Account → API Management → Create API → System generated",
        allow="Enable Reading and Enable Spot & Margin Trading",
        allow_perpetual="Enable Reading and Enable Futures",
        url="https://www.binance.com/en/my/settings/api-management",
        test_url="https://testnet.binancefuture.com",
        note="A key without an IP restriction may lose its trading permission after 30 days. Futures can be enabled "
        "only on a key created after the futures account was opened.",
    ),
    "bitget": Exchange("Bitget", "the account's menu → API keys → Create API key"),
    "bitmart": Exchange(
        "BitMart",
        "Account → API Management → Create API key",
        allow="Read-Only and Trade",
        allow_perpetual="Read-Only and Trade",
        note="Lost the memo? Create a new key.",
    ),
    "bybit": Exchange(
        "Bybit",
        "the account's menu → API → Create New Key → System-generated API Keys",
        allow="Read-Write with spot trading",
        allow_perpetual="Read-Write with contract orders and positions",
        url="https://www.bybit.com/app/user/api-management",
        test_url="https://testnet.bybit.com/app/user/api-management",
        note="A key without an IP restriction expires after 90 days. Enter that date as its expiry date.",
    ),
    "coinbase_advanced_trade": Exchange(
        "Coinbase Advanced",
        "Coinbase Developer Platform → API keys → Create API key, with ECDSA as signature algorithm",
        allow="View and Trade, not Transfer",
        url="https://portal.cdp.coinbase.com/projects/api-keys",
        fields={
            "api_key": FieldWords("API key name", "The full value: organizations/…/apiKeys/…"),
            "api_secret": FieldWords("Private key", "On one line, from BEGIN to END, as in the downloaded file."),
        },
    ),
    "dexalot": Exchange(
        "Dexalot",
        "the wallet that trades on Dexalot",
        allow="",
        binds=False,
        withdraws=True,
        fields={"api_key": FieldWords("Wallet address", "Begins with 0x."), "api_secret": _WALLET_KEY},
    ),
    "dydx_v4": Exchange(
        "dYdX",
        "the wallet that trades on dYdX",
        allow_perpetual="",
        binds=False,
        withdraws=True,
        fields={
            "secret_phrase": FieldWords(
                "Secret phrase", "The wallet's words, separated by spaces. They control all of its funds."
            ),
            "chain_address": FieldWords("dYdX address", "Begins with dydx1."),
        },
    ),
    "gate_io": Exchange(
        "Gate.io",
        "the account's menu → API Management → Create API Key",
        allow="Spot Trade: Read and Write",
        allow_perpetual="Perpetual Futures: Read and Write",
        note="A key without an IP restriction may expire after 90 days.",
    ),
    "htx": Exchange(
        "HTX",
        "the account's menu → API Management",
        allow="Read and Trade",
        url="https://www.htx.com/en-us/apikey",
        note="A key without an IP restriction expires after 90 days without use.",
        fields={"api_key": FieldWords("API key", "HTX calls it the access key.")},
    ),
    "hyperliquid": Exchange(
        "Hyperliquid",
        "More → API → generate an API wallet and authorize it",
        allow="",
        allow_perpetual="",
        url="https://app.hyperliquid.xyz/API",
        test_url="https://app.hyperliquid-testnet.xyz/API",
        binds=False,
        note="An API wallet can trade but can't withdraw; the account's own wallet can. An API wallet expires on the "
        "date chosen when it was authorized: enter it as the expiry date.",
        fields={
            "address": FieldWords(
                "Account's wallet address",
                "Begins with 0x. The account's own address, not the API wallet's. For a vault, the vault's address.",
            ),
            "secret_key": FieldWords(
                "Private key", "The key of the API wallet or of the account's own wallet, whichever you choose below."
            ),
            "mode": _HYPERLIQUID_WAYS,
            "use_vault": FieldWords("Trade a vault", "Turn on only if the address above belongs to a vault."),
        },
    ),
    "kraken": Exchange(
        "Kraken",
        "the account's settings → API → Create API key",
        allow="Query funds, Query open orders & trades, Query closed orders & trades, Create & modify orders, "
        "Cancel & close orders",
        fields={
            "secret_key": FieldWords("Private key", "Shown only once, when you create the key."),
            "api_tier": FieldWords(
                "API tier",
                "Starter, Intermediate or Pro, depending on the account's verification. Defaults to Starter.",
            ),
        },
    ),
    "kucoin": Exchange(
        "KuCoin",
        "the account's menu → API Management → Create API → API Trading",
        allow="General and Spot trading",
        allow_perpetual="General and Futures trading",
    ),
    "mexc": Exchange(
        "MEXC",
        "the account's menu → API Management",
        note="A key without an IP restriction may expire after 90 days.",
    ),
    "okx": Exchange(
        "OKX",
        "the account's menu → API → Create API keys",
        allow="Read and Trade",
        allow_perpetual="Read and Trade",
        note="A key with trading permission and no IP restriction expires after 14 days without use.",
        fields={
            "registration_sub_domain": FieldWords(
                "Site of the account",
                "The site where the account's owner signs in.",
                {"www": "www.okx.com", "app": "app.okx.com", "my": "my.okx.com"},
            )
        },
    ),
}


#: Where everybody may read an address's balances, and the server reads nothing else to try a key.
_PUBLIC_BALANCES = {"hyperliquid", "dydx_v4", "injective_v2"}


def proves_address_only(connector: str) -> bool:
    """Return whether a key that was accepted is known for its address alone: its private key was not used."""
    return market_of(connector).exchange in _PUBLIC_BALANCES


def exchange_of(connector: str) -> Exchange | None:
    """Return how keys for this connector are created; nothing when that is unknown."""
    return EXCHANGES.get(market_of(connector).exchange)


def title_of(connector: str) -> str:
    """Return a connector's display name: ``Binance``, ``Binance futures (perpetual)``, ``Binance, paper trade``."""
    account_type = market_of(connector).account_type
    name = exchange_name(connector)
    return name if account_type is AccountType.REAL else f"{name}, {account_type.value}"


def exchange_name(connector: str) -> str:
    """Return the same without the account type, for where its badge stands beside it."""
    market = market_of(connector)
    exchange = EXCHANGES.get(market.exchange)
    name = exchange.name if exchange else market.exchange.replace("_", " ").title()
    return f"{name} futures (perpetual)" if market.perpetual else name


def connector_like(text: str, connectors: Iterable[str]) -> str:
    """Return the one of the connectors that a person may have meant: by its own name or its display name, with a
    typing mistake or without. Empty for none.
    """
    words = {word: name for name in connectors for word in (_plain(title_of(name)), _plain(name))}
    found = get_close_matches(_plain(text), words, n=1, cutoff=0.75)
    return words[found[0]] if found else ""


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def wording_of(connector: str, field_name: str) -> FieldWords:
    """Return the label and help text of a connector's field. An unknown one is labeled with its own name."""
    group, _, inner = field_name.partition(".")
    if inner:
        words = wording_of(connector, inner)
        return replace(words, label=f"{wording_of(connector, group).label}: {words.label}")
    exchange = market_of(connector).exchange
    word = field_name
    for prefix in (connector, exchange, exchange.replace("_", "")):
        word = word.removeprefix(f"{prefix}_")
    known = EXCHANGES[exchange].fields if exchange in EXCHANGES else {}
    return known.get(word) or _FIELDS.get(word) or FieldWords(word.replace("_", " ").capitalize())
