"""The pairs that exchanges list, as servers reported them."""

from datetime import timedelta
from difflib import get_close_matches

from django.db import models
from django.utils import timezone

from accounts.models import Server
from bots.strategies.pairs import spellings
from hummingbot_api.connectors import real_exchange

#: How long a list is trusted to be complete. Exchanges list new pairs seldom, but they do.
TRUSTED_FOR = timedelta(days=1)


class MarketListingQuerySet(models.QuerySet["MarketListing"]):
    def of(self, server: Server, connector: str) -> "MarketListing | None":
        """Return the list of an exchange. A paper trade connector has that of its exchange."""
        return self.filter(server=server, connector=real_exchange(connector)).first()


class MarketListing(models.Model):
    """The pairs of one exchange, as of the server's last report."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    connector = models.CharField(max_length=80)
    pairs = models.JSONField(default=list)
    read_at = models.DateTimeField()

    objects = MarketListingQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["server", "connector"], name="unique_market_listing_per_exchange"),
        ]

    def __str__(self) -> str:
        return f"Pairs of {self.connector}"

    def lists(self, pair: str) -> bool:
        """Return whether the exchange has the pair, in upper case or as it was entered."""
        return not set(spellings(pair)).isdisjoint(self.pairs)

    @property
    def is_recent(self) -> bool:
        return timezone.now() - self.read_at < TRUSTED_FOR

    def like(self, pair: str) -> str:
        """Return the listed pair that somebody may have meant; empty for none."""
        listed = {listed.upper(): listed for listed in self.pairs}
        found = get_close_matches(pair.upper(), listed, n=1, cutoff=0.7)
        return listed[found[0]] if found else ""
