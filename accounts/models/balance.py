"""The value of clients' profiles over time."""

from typing import Any

from django.db import models

from accounts.models.profile import CredentialsProfile
from core.figures.time_series import SampleQuerySet

#: How many of the tokens that an account holds are shown at once.
SHOWN_TOKENS = 10


class BalanceQuerySet(SampleQuerySet):
    series = ("profile",)
    account_manager = "profile__client__account_manager"


class Balance(models.Model):
    """The value of a client's profile at a moment, over all its connectors.

    The value is in US dollars as the server calculates them: a token with “USD” in its name counts 1, another one its
    price in USDT, and one that the server finds no price for counts nothing.
    """

    profile = models.ForeignKey(CredentialsProfile, on_delete=models.CASCADE, related_name="balances")
    taken_at = models.DateTimeField(help_text="Rounded to the minute.")
    value = models.FloatField(help_text="In US dollars.")
    holdings = models.JSONField(
        null=True,
        help_text="Only for the latest one: by connector, its tokens with units, available units, price and value.",
    )

    objects = BalanceQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_at"]
        get_latest_by = "taken_at"
        constraints = [
            models.UniqueConstraint(fields=["profile", "taken_at"], name="unique_balance_per_profile_and_time"),
        ]

    def __str__(self) -> str:
        return f"{self.profile.account_name} at {self.taken_at:%Y-%m-%d %H:%M}"

    @property
    def unreported(self) -> list[str]:
        """The connectors with a key in the profile that the server did not report: they are not in the value."""
        return [connector for connector in self.profile.connectors if connector not in (self.holdings or {})]

    @property
    def tokens(self) -> list[tuple[str, dict[str, Any]]]:
        """Each token with its connector, the most valuable first."""
        tokens = [(connector, token) for connector, tokens in (self.holdings or {}).items() for token in tokens]
        return sorted(tokens, key=lambda held: -(held[1]["value"] or 0.0))

    @property
    def greatest(self) -> list[tuple[str, dict[str, Any]]]:
        """Those of the tokens that a page shows at once."""
        return self.tokens[:SHOWN_TOKENS]

    @property
    def smaller(self) -> list[tuple[str, dict[str, Any]]]:
        """The rest of them: hundreds of leftovers, on some accounts."""
        return self.tokens[SHOWN_TOKENS:]

    @property
    def smaller_value(self) -> float:
        return sum(token["value"] or 0.0 for _, token in self.smaller)

    @property
    def unpriced(self) -> list[str]:
        """The tokens that count nothing because the server found no price for them."""
        return sorted({t["token"] for _, t in self.tokens if t["units"] and not t["price"] and t["value"] is not None})

    @property
    def unvalued(self) -> list[str]:
        """The tokens whose value the server did not report as a number: they are not in the value."""
        return sorted({token["token"] for _, token in self.tokens if token["value"] is None})
