"""What the search of all pages (Ctrl+K) finds besides pages."""

from django.http import HttpRequest

#: Each is looked for among what the user sees in its list.
SEARCHED = ("accounts.client", "bots.bot", "accounts.exchangekey", "accounts.server", "bots.strategy")


def searched(request: HttpRequest) -> list[str]:
    """The kinds of rows that the request's user may look at."""
    names = (label.split(".") for label in SEARCHED)
    return [f"{app}.{model}" for app, model in names if request.user.has_perm(f"{app}.view_{model}")]
