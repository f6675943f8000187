"""What to say of an obligation that is not kept: what happened, and what to change."""

from core.exchanges import title_of
from markets.models import Period
from markets.obligations.standing import Standing


def broken_words(standing: Standing) -> str:
    """Return what is broken, since when, and how the uptime stands."""
    obligation = standing.obligation
    words = [f"{obligation.trading_pair} on {title_of(obligation.connector)}: {obligation.terms}."]
    if obligation.broken_since is not None:
        words.append(f"Broken since {obligation.broken_since:%Y-%m-%d %H:%M} UTC. {obligation.reason}".strip())
    if obligation.min_uptime_percent is not None and (uptime := standing.period.uptime) is not None:
        period = "Today" if obligation.uptime_period == Period.DAY else "This month"
        words.append(f"{period} it was met {uptime:.2%} of the measured time.")
    if standing.is_lost:
        words.append(f"At most {standing.best:.2%} can still be reached.")
    return " ".join(words)


def remedy_for(standing: Standing) -> str:
    """Return what to change so that it is met."""
    obligation = standing.obligation
    lost = "Tell the client: the uptime can't be reached any more in this period. " if standing.is_lost else ""
    reason = obligation.reason
    if "No bot" in reason:
        return f"{lost}Deploy or start a bot of {obligation.client} in this market."
    if "spread" in reason and obligation.max_spread_percent is not None:
        half = float(obligation.max_spread_percent) / 2
        return f"{lost}Lower the spreads of the bots in this market: {half:.3g} % on each side or less, then redeploy."
    if "depth" in reason:
        return f"{lost}Raise the order amount of the bots in this market, or move their orders closer to the mid price."
    return (
        f"{lost}Check that a bot of {obligation.client} runs in this market, that its orders are accepted, and that "
        "its balances pay for both sides."
    )
