"""The cells of the fault matrix: each fault of the sandbox, with each operation of the panel.

A fault is tried where it makes a difference. What is left out has a reason in ``left_out``, and a fault or an operation
that is not listed here fails ``test_fault_matrix.py``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: Where a fault strikes: on every route from the start; on every route from the moment at which a request is sent;
#: that request alone, once; that route alone, for good.
THROUGHOUT, FROM, ONCE, ROUTE = "throughout", "from", "once at", "without"

ADD_ACCOUNT, DELETE_ACCOUNT, ADD_KEY = "/accounts/add-account", "/accounts/delete-account", "/accounts/add-credential"
SCRIPTS, CONTROLLERS, LIVE = "/scripts/", "/controllers/configs/", "/controllers/bots/"
DEPLOY, STOP, ARCHIVE = (f"/bot-orchestration/{name}" for name in ("deploy", "stop-bot", "stop-and-archive-bot"))
UP, DOWN = "/docker/start-container", "/docker/stop-container"
LISTS, RULES, ACCOUNTS = "/docker/", "/connectors/bitmart/trading-rules", "/accounts/"


@dataclass(frozen=True, eq=False)
class Variant:
    """A fault with its options.

    Attributes:
        codes: what an operation may report that fails by it: what has really happened, and nothing about a person.
        where: it strikes so that it makes a difference.
        hangs: whether answers never come, so that the panel's patience is to be short.
        arrives: seconds after the operation's end in which a late request may still take effect. The remedy of a
            request that was not answered is to wait for that before it is repeated.
        harmless: whether every operation succeeds in spite of it.
    """

    fault: str
    codes: frozenset[str]
    where: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    hangs: bool = False
    arrives: float = 0.0
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.fault} ({self.note})" if self.note else self.fault


def _variant(fault: str, codes: str, *where: str, **facts: Any) -> Variant:
    return Variant(fault, frozenset(codes.split()), where, **facts)


#: More sandbox seconds than the panel waits for an answer.
LONG = {"seconds": 600}
VARIANTS = (
    _variant("wrong_password", "wrong_password", THROUGHOUT, FROM),
    _variant("refused_connection", "server_unreachable", THROUGHOUT, FROM),
    _variant("time_out_before", "server_timed_out", THROUGHOUT, FROM, ONCE, hangs=True),
    _variant("time_out_after", "server_timed_out", FROM, ONCE, hangs=True),
    _variant("late", "server_timed_out", ONCE, note="soon", hangs=True),
    _variant(
        "late", "server_timed_out", ONCE, options={"seconds": 600}, note="after the patience", hangs=True, arrives=0.4
    ),
    _variant("server_error", "server_failed server_unreachable", THROUGHOUT, FROM, ONCE),
    _variant("html_interstitial", "", THROUGHOUT, note="skipped", harmless=True),
    _variant("html_interstitial", "tunnel_interstitial", THROUGHOUT, ONCE, options={"always": True}, note="always"),
    _variant("tunnel_offline", "tunnel_offline", THROUGHOUT, FROM),
    _variant("tunnel_backend_down", "tunnel_backend_down", THROUGHOUT, ONCE),
    _variant("route_missing", "not_supported_by_server", ROUTE),
    _variant("truncated_json", "unexpected_answer", THROUGHOUT, FROM, ONCE),
    _variant("slow", "", THROUGHOUT, note="a little", harmless=True),
    _variant(
        "slow", "server_timed_out", ONCE, options={"seconds": 600}, note="beyond the patience", hangs=True, arrives=0.4
    ),
    _variant("docker_down", "docker_down", THROUGHOUT, FROM),
    _variant("mqtt_down", "mqtt_down", THROUGHOUT, FROM),
    _variant("exchange_refuses_key", "key_refused", THROUGHOUT),
    _variant("exchange_refuses_key", "key_refused", THROUGHOUT, options={"leaves_file": True}, note="left behind"),
    _variant(
        "exchange_refuses_key",
        "ip_not_allowed",
        THROUGHOUT,
        options={"message": "{'retCode': 10010, 'retMsg': 'Unmatched IP'}"},
        note="its address",
    ),
    _variant(
        "exchange_refuses_key", "key_undecided", THROUGHOUT, options={"message": "Something went wrong"}, note="unclear"
    ),
    _variant("balances_unreadable", "", THROUGHOUT, options={"value": None}, note="null", harmless=True),
    _variant("balances_unreadable", "", THROUGHOUT, options={"value": "NaN?"}, note="text", harmless=True),
    _variant("exchange_unreachable", "exchange_unreachable", THROUGHOUT),
)
#: What an operation on a bot may report of any fault: it has acted, and could not see the outcome.
UNCONFIRMED = {
    "deploy_unconfirmed",
    "bot_never_connected",
    "stop_unconfirmed",
    "stop_not_delivered",
    "archive_unconfirmed",
    "live_unconfirmed",
    "pause_unconfirmed",
    "resume_unconfirmed",
    "orders_may_be_open",
}


@dataclass(frozen=True)
class Case:
    """An operation.

    Attributes:
        sends: the requests that change something on the server, each by the begin of its path.
        needs: the routes that it can't do without and changes nothing by.
        touches: which of the faults of an exchange can concern it.
    """

    sends: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    touches: frozenset[str] = frozenset()


_KEYS = frozenset({"exchange_refuses_key", "balances_unreadable"})
_MARKET = frozenset({"exchange_unreachable"})
#: By the operation's name. Two, which ask no server, are in ``RECEIVERS``.
CASES = {
    "check_server": Case(needs=(LISTS,), touches=frozenset({"balances_unreadable"})),
    "read_controllers": Case(needs=("/controllers/",)),
    "load_markets": Case(needs=("/connectors/",), touches=_MARKET),
    "push_profile": Case(sends=(ADD_ACCOUNT, ADD_KEY), touches=_KEYS),
    "verify_profile": Case(needs=(ACCOUNTS,)),
    "recreate_profile": Case(sends=(DELETE_ACCOUNT, ADD_ACCOUNT, ADD_KEY), touches=_KEYS),
    "test_key": Case(sends=(ADD_KEY,), touches=_KEYS),
    "rotate_key": Case(sends=(ADD_KEY,), touches=_KEYS),
    "check_bot": Case(needs=(RULES,), touches=_MARKET),
    "refresh": Case(needs=(LISTS,)),
    "deploy": Case(sends=(ADD_KEY, SCRIPTS, DEPLOY), touches=_KEYS | _MARKET),
    "redeploy": Case(sends=(CONTROLLERS, STOP, ARCHIVE, DEPLOY), touches=_MARKET),
    "start": Case(sends=(DOWN, UP)),
    "stop": Case(sends=(STOP,)),
    "recover": Case(sends=(UP, STOP)),
    "archive": Case(sends=(STOP, ARCHIVE)),
    "apply_settings": Case(sends=(LIVE,), touches=_MARKET),
    "pause": Case(sends=(LIVE,)),
    "resume": Case(sends=(LIVE,)),
}
#: The operations that ask no server, see ``test_receiver_faults.py``.
RECEIVERS = ("test_channel", "test_webhook")
#: The cells of a run that is not full: each fault with an operation that it hurts most, each operation once or more.
BY_DEFAULT = {
    "check_server: balances_unreadable (null) throughout",
    "check_server: html_interstitial (always) throughout",
    "check_server: wrong_password throughout",
    "read_controllers: refused_connection throughout",
    "load_markets: server_error throughout",
    "push_profile: balances_unreadable (text) throughout",
    "push_profile: exchange_refuses_key (left behind) throughout",
    "recreate_profile: exchange_refuses_key throughout",
    "rotate_key: exchange_refuses_key (unclear) throughout",
    "test_key: exchange_refuses_key (its address) throughout",
    "verify_profile: html_interstitial (skipped) throughout",
    "verify_profile: tunnel_backend_down throughout",
    "check_bot: slow (a little) throughout",
    "refresh: time_out_before throughout",
    "apply_settings: exchange_unreachable throughout",
    f"deploy: late (after the patience) once at {DEPLOY}",
    f"deploy: slow (beyond the patience) once at {DEPLOY}",
    f"deploy: time_out_after once at {DEPLOY}",
    f"redeploy: docker_down from {ARCHIVE}",
    f"start: time_out_after once at {UP}",
    f"stop: time_out_after once at {STOP}",
    f"recover: mqtt_down from {UP}",
    f"archive: docker_down from {ARCHIVE}",
    f"archive: truncated_json from {ARCHIVE}",
    f"check_bot: route_missing without {RULES}",
    f"pause: tunnel_offline from {LIVE}",
    f"resume: late (soon) once at {LIVE}",
}


class Cell(NamedTuple):
    kind: str
    variant: Variant
    where: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.variant} {self.where} {self.path}".strip()


def left_out(kind: str, variant: Variant) -> str:
    """Return why an operation is not tried with a fault; empty when it is."""
    if variant.fault in {*_KEYS, *_MARKET} and variant.fault not in CASES[kind].touches:
        return f"{kind} sends no key, asks for no balances, or asks nothing of an exchange"
    if not set(variant.where) & {THROUGHOUT, ROUTE} and not CASES[kind].sends:
        return f"{kind} changes nothing, so that a read which is not answered is like “time_out_before”"
    return ""


def cells() -> Iterator[Cell]:
    for kind, case in CASES.items():
        for variant in VARIANTS:
            if left_out(kind, variant):
                continue
            for where in variant.where:
                if where == THROUGHOUT:
                    yield Cell(kind, variant, where)
                else:
                    paths = (*case.sends, *case.needs) if where == ROUTE else case.sends
                    yield from (Cell(kind, variant, where, path) for path in paths)
