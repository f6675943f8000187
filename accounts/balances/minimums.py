"""The minimum balances at an exchange: entered for a key, compared with what its server last reported.

Amounts of assets instead of a value: a server counts a token that it finds no price for as nothing.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F

from accounts.models import Balance, ExchangeKey
from hummingbot_api.names import is_asset, suggest_case

#: The balance is read every five minutes and proves nothing when it is older.
BALANCE_MAX_AGE = timedelta(minutes=20)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) +(\S+)", re.ASCII)


def read_minimums(text: str) -> dict[str, str]:
    """``500 USDT, 20000 kPEPE`` as amounts by asset, as the key keeps them.

    Raises:
        ValidationError: an amount, or its asset, can't be read.
    """
    minimums: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _AMOUNT.fullmatch(part)
        # A number in the asset's place is the rest of an amount with separators.
        if match is None or not Decimal(match[1]) or not is_asset(match[2]) or match[2].isdigit():
            raise ValidationError(
                f"“{part}” is not an amount with its asset. Enter amounts like 500 USDT, 20000 SHARP, without "
                "thousands separators."
            )
        asset = suggest_case(match[2])
        if asset in minimums:
            raise ValidationError(f"{asset} appears twice.")
        minimums[asset] = match[1]
    return minimums


def describe(minimums: Mapping[str, str]) -> str:
    return ", ".join(f"{minimum} {asset}" for asset, minimum in sorted(minimums.items()))


@dataclass(frozen=True)
class HeldBalance:
    """The balance at a key's exchange of the assets that have a minimum.

    Attributes:
        taken_at: the time of its server's report.
        units: by asset; an asset that the server left out of its list is missing, and ``None`` is one that it listed
            without a number.
        below: the assets whose balance is below the minimum.
    """

    taken_at: datetime
    units: Mapping[str, Decimal | None]
    below: Collection[str]

    @property
    def is_complete(self) -> bool:
        """Whether the server reported each of the assets: only then enough is there when none is below."""
        return None not in self.units.values()

    @property
    def words(self) -> str:
        return describe(
            {a: "an unreported amount of" if u is None else f"{u.normalize():f}" for a, u in self.units.items()}
        )


def balances_by_key(keys: Collection[ExchangeKey], now: datetime) -> dict[int, HeldBalance]:
    """Return the balances by the keys' primary keys, without unknown ones: a server reports the same for an exchange
    that it could not read and for one where nothing is left.
    """
    notified = Balance.objects.filter(
        profile__client__in={key.client_id for key in keys},
        profile__server=F("profile__client__server"),
        holdings__isnull=False,
        taken_at__gte=now - BALANCE_MAX_AGE,
    )
    by_client = {
        balance.profile.client_id: balance for balance in notified.select_related("profile").order_by("taken_at")
    }
    found = {key.pk: _balance_of(key, by_client[key.client_id]) for key in keys if key.client_id in by_client}
    return {pk: held for pk, held in found.items() if held is not None}


def _balance_of(key: ExchangeKey, balance: Balance) -> HeldBalance | None:
    tokens: list[dict[str, Any]] = (balance.holdings or {}).get(key.connector, [])
    if not tokens:
        return None
    listed = {token["token"] for token in tokens}
    units: dict[str, Decimal | None] = {}
    for asset in key.minimum_balances:
        # As it was entered; where the server knows none of that spelling, whatever differs in its case only.
        names = {asset} if asset in listed else {name for name in listed if name.upper() == asset.upper()}
        found = [token["units"] for token in tokens if token["token"] in names]
        units[asset] = None if None in found else sum((Decimal(str(number)) for number in found), Decimal(0))
    below = [a for a, minimum in key.minimum_balances.items() if (u := units[a]) is not None and u < Decimal(minimum)]
    return HeldBalance(balance.taken_at, units, sorted(below))
