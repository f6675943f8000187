# ruff: noqa: S101
"""Proof of what the panel documents about a running bot: which settings it applies, and how soon.

Proven for what is in the wheel: the market makers' base, and what every controller has. For pmm_v1, grid_strike and
pmm_dynamic's own settings, the server's modules are the proof: those run with `PROOF_CONTROLLERS`.
"""

from types import SimpleNamespace

import pytest
from hummingbot.strategy.strategy_v2_base import StrategyV2Base
from hummingbot.strategy_v2.controllers import ControllerBase, ControllerConfigBase
from hummingbot.strategy_v2.controllers.market_making_controller_base import MarketMakingControllerConfigBase
from hummingbot.strategy_v2.models.executor_actions import StopExecutorAction
from stage import REAL_CONTROLLERS, rendered

from bots.strategies.bundled import BUNDLED
from bots.strategies.render import KILL_SWITCH

REQUIRED = {
    "pmm_v1": {"order_amount": 1600},
    "pmm_simple": {"total_amount_quote": 80},
    "pmm_dynamic": {"total_amount_quote": 80},
    "grid_strike": {"start_price": 1, "end_price": 2, "limit_price": 0, "total_amount_quote": 80},
}
needs_module = pytest.mark.skipif(
    not REAL_CONTROLLERS, reason="NOT PROVEN: this controller's own module is not in the wheel; set PROOF_CONTROLLERS"
)


def adopted(config_class) -> set[str]:
    fields = config_class.model_fields.items()
    return {name for name, field in fields if (field.json_schema_extra or {}).get("is_updatable")}


def live(name: str) -> set[str]:
    return {setting for setting, rules in BUNDLED[name]["schema"]["properties"].items() if rules.get("live")}


def test_the_market_makers_live_settings_are_those_that_the_base_class_applies():
    settings = set(BUNDLED["pmm_simple"]["schema"]["properties"])
    assert live("pmm_simple") == settings & adopted(MarketMakingControllerConfigBase)


@pytest.mark.parametrize(
    "name", ["pmm_simple", *(pytest.param(name, marks=needs_module) for name in REQUIRED if name != "pmm_simple")]
)
def test_the_live_settings_are_those_that_the_controllers_class_applies(name, load):
    (config,) = load(name, **REQUIRED[name]).load_controller_configs()
    assert live(name) == set(BUNDLED[name]["schema"]["properties"]) & adopted(type(config))


def test_every_controller_applies_its_kill_switch():
    assert KILL_SWITCH in adopted(ControllerConfigBase)


def test_a_running_controller_applies_only_the_live_settings():
    previous = rendered("pmm_simple", total_amount_quote=80)
    changed = previous | {"stop_loss": 0.05, "leverage": 3, KILL_SWITCH: True}
    controller = SimpleNamespace(config=MarketMakingControllerConfigBase(**previous))
    ControllerBase.update_config(controller, MarketMakingControllerConfigBase(**changed))
    config = controller.config
    assert (float(config.stop_loss), config.leverage, config.manual_kill_switch) == (0.05, 1, True)


def test_a_bot_reads_its_files_every_ten_seconds():
    assert StrategyV2Base.config_update_interval == 10


def test_an_executor_that_is_stopped_by_the_kill_switch_does_not_keep_its_position():
    """The script that kills, which is not in the wheel, sets nothing else: this default decides."""
    assert StopExecutorAction(controller_id="sharp", executor_id="x").keep_position is False
