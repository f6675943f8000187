"""Every problem that the panel can report has a code of its own, a sentence and a remedy."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from controlpanel.management.commands import errors, glossary
from core.glossary import GLOSSARY
from core.problems import Problem
from hummingbot_api.errors import (
    ExchangeUnreachable,
    HummingbotAPIError,
    InvalidBaseURL,
    InvalidName,
    KeyRefused,
    Refused,
    TLSFailed,
    TunnelBackendDown,
    TunnelInterstitial,
    TunnelOffline,
)
from hummingbot_api.refusals.keys import IpNotAllowed, KeyUndecided, RegionBlocked, ServerClockWrong
from operations.kinds import who_can_fix

CATALOG = list(Problem.catalog())
#: Nothing was sent, or it did not arrive.
NEVER_ARRIVED = {InvalidBaseURL, InvalidName, TLSFailed, TunnelBackendDown, TunnelInterstitial, TunnelOffline}
#: The server stores a key before its exchange refuses it.
REFUSED_LATE = {ExchangeUnreachable, IpNotAllowed, KeyRefused, KeyUndecided, RegionBlocked, ServerClockWrong}


def descendants(kind: type[Problem]) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def test_the_catalogue_holds_the_problems_of_every_app():
    modules = {kind.__module__ for kind in CATALOG}
    apps = {"operations", "accounts", "bots", "json_api"}
    assert {"hummingbot_api.errors", *(f"{app}.problems" for app in apps)} <= modules


def test_no_two_problems_share_a_code():
    assert [code for code, count in Counter(kind.code for kind in CATALOG).items() if count > 1] == []


@pytest.mark.parametrize("kind", CATALOG, ids=lambda kind: kind.__name__)
def test_a_problem_has_its_own_code_a_sentence_and_a_remedy(kind):
    assert "code" in vars(kind)
    assert "meaning" in vars(kind)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert len(kind.code) <= 40  # the width of the column
    assert kind.code != Problem.code
    for sentence in (kind.meaning, kind.default_remedy):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert kind.__doc__
    assert isinstance(kind.retryable, bool)


def test_what_has_no_code_of_its_own_is_a_family():
    assert [kind for kind in descendants(Problem) if kind not in CATALOG and not kind.__subclasses__()] == []


def test_a_request_may_have_acted_unless_it_never_arrived_or_was_refused():
    """What is believed to have done nothing is done again, and a deploy that is sent twice makes two bots."""
    harmless = {kind for kind in descendants(HummingbotAPIError) if not kind.may_have_acted}
    assert harmless == NEVER_ARRIVED | {Refused, *descendants(Refused)} - REFUSED_LATE


def test_a_problem_says_its_meaning_and_remedy_unless_it_knows_better():
    problem = Problem()
    assert (problem.message, problem.remedy) == (Problem.meaning, Problem.default_remedy)
    problem = Problem("It broke.", remedy="Fix it.")
    assert (str(problem), problem.message, problem.remedy) == ("It broke.", "It broke.", "Fix it.")


def test_every_fix_target_has_a_permission():
    fix_targets = {problem.fix_target for problem in Problem.catalog()} - {""}
    assert all(who_can_fix(concern, AnonymousUser()) for concern in fix_targets)
    assert not any(who_can_fix(concern, User(is_superuser=True, is_active=True)) for concern in fix_targets)


@pytest.mark.parametrize(("page", "printed"), [("errors.md", errors.catalog), ("glossary.md", glossary.markdown)])
def test_the_docs_hold_what_the_command_prints(page, printed):
    assert (settings.BASE_DIR / "docs" / page).read_text() == printed() + "\n"


def test_no_word_of_the_glossary_breaks_its_table():
    assert not [word for word, meaning in GLOSSARY.items() if "|" in word + meaning or "\n" in word + meaning]
