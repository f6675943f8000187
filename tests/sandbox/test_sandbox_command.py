"""``manage.py sandbox`` from the command line."""

import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sandbox import Sandbox


@pytest.fixture
def ran(monkeypatch):
    """The sandboxes that were run, with their ports; none of them really serves."""
    ran = []
    monkeypatch.setattr(Sandbox, "run", lambda sandbox, port: ran.append((sandbox, port)))
    return ran


def test_it_prints_its_address_and_the_active_faults(ran):
    out = StringIO()
    call_command("sandbox", "--port", "8123", "--fault", "slow:/docker", "--fault", "mqtt_down", stdout=out)
    assert "http://127.0.0.1:8123" in out.getvalue()
    assert "slow:/docker" in out.getvalue()
    ((sandbox, port),) = ran
    assert port == 8123
    assert sandbox.faults.take("slow", "GET", "/docker/running")
    assert not sandbox.faults.take("slow", "GET", "/accounts/")
    assert sandbox.faults.take("mqtt_down", "GET", "/accounts/")


@pytest.mark.parametrize(("options", "moves"), [((), True), (("--market", "still"), False)])
def test_prices_walk_unless_it_is_asked_for_a_still_market(options, moves, ran):
    call_command("sandbox", *options, stdout=StringIO())
    ((sandbox, _),) = ran
    assert (sandbox.world.market is not None) == moves
    assert (sandbox.world.mid("SHARP-USDT", 1) != sandbox.world.mid("SHARP-USDT", 1e6)) == moves


def test_an_unknown_fault_is_an_error(ran):
    with pytest.raises(CommandError, match="no fault 'bogus'"):
        call_command("sandbox", "--fault", "bogus")
    assert not ran


def test_without_its_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "sandbox")
    monkeypatch.setitem(sys.modules, "sandbox.server", None)
    with pytest.raises(CommandError, match=r"pip install -r requirements-dev\.txt"):
        call_command("sandbox")
