"""Every problem that the panel can report has a code of its own, a sentence and a remedy."""

import re
from collections import Counter

import pytest
from django.contrib.auth.models import AnonymousUser, User

from hummingbot_api.errors import Problem
from operations.kinds import whom_to_ask

CATALOGUE = list(Problem.catalogue())


def test_the_catalogue_holds_the_problems_of_every_app():
    modules = {kind.__module__ for kind in CATALOGUE}
    apps = {"operations", "accounts", "bots", "json_api"}
    assert {"hummingbot_api.errors", *(f"{app}.problems" for app in apps)} <= modules


def test_no_two_problems_share_a_code():
    assert [code for code, count in Counter(kind.code for kind in CATALOGUE).items() if count > 1] == []


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
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


def test_a_problem_says_its_meaning_and_remedy_unless_it_knows_better():
    problem = Problem()
    assert (problem.message, problem.remedy) == (Problem.meaning, Problem.default_remedy)
    problem = Problem("It broke.", remedy="Mend it.")
    assert (str(problem), problem.message, problem.remedy) == ("It broke.", "It broke.", "Mend it.")


def test_of_each_thing_that_a_problem_concerns_it_is_known_who_may_mend_it():
    concerns = {problem.concerns for problem in Problem.catalogue()} - {""}
    assert all(whom_to_ask(concern, AnonymousUser()) for concern in concerns)
    assert not any(whom_to_ask(concern, User(is_superuser=True, is_active=True)) for concern in concerns)
