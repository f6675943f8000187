"""What is read of a script, without running it."""

from pathlib import Path

import pytest
from django.conf import settings

from bots.strategies.bundled import BUNDLED
from bots.strategies.source import FIX_HINT, read_script

IMPORTS = "from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase\n"
MARKET = "    connector_name: str\n    trading_pair: str\n"
STRATEGY = "class Mine(StrategyV2Base):\n    pass\n"


def script(fields: str = "", *, config: str = "MineConfig(StrategyV2ConfigBase)", market: str = MARKET) -> str:
    """A script that a server can start, with these settings."""
    return f"{IMPORTS}class {config}:\n{market}{fields}\n{STRATEGY}"


def setting(declaration: str) -> dict:
    """Return what a declaration defines about the setting ``it``."""
    read = read_script(script(f"    it{declaration}"))
    assert not read.problems
    described = read.schema["properties"]["it"]
    assert described.pop("title") == "It"
    return described


def is_required(declaration: str) -> bool:
    return read_script(script(f"    it{declaration}")).schema["required"] == ["it"]


# --- its settings ---


def test_the_market_is_no_setting():
    read = read_script(script("    script_file_name: str = 'x'\n    controllers_config: list[str] = []"))
    assert (read.strategy_class, read.config_class, read.problems) == ("Mine", "MineConfig", ())
    assert read.schema == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("Decimal", {"type": "number"}),
        ("decimal.Decimal", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("str", {"type": "string"}),
        ("Optional[Decimal]", {"type": ["number", "null"]}),
        ("typing.Optional[int]", {"type": ["integer", "null"]}),
        ("int | None", {"type": ["integer", "null"]}),
        ("None | int", {"type": ["integer", "null"]}),
        ("Union[int, None]", {"type": ["integer", "null"]}),
        ("Annotated[int, Gt(0)]", {"type": "integer"}),
        ("List[Decimal]", {"type": "array", "items": {"type": "number"}}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("Optional[List[int]]", {"type": ["array", "null"], "items": {"type": "integer"}}),
        ("Literal['buy', 'sell']", {"enum": ["buy", "sell"]}),
        ("Optional[Literal[1, 2]]", {"enum": [1, 2, None]}),
        ("Dict[str, int]", {"type": "object"}),
        ("int | str", {}),
        ("OrderType", {}),
        ("Optional[OrderType]", {}),
    ],
)
def test_an_annotation_says_what_kind_of_value_it_is(annotation, schema):
    assert setting(f": {annotation}") == schema


@pytest.mark.parametrize(
    ("value", "default"),
    [
        ("3", 3),
        ("-0.5", -0.5),
        ("Decimal('0.003')", 0.003),
        ("Decimal(60)", 60),
        ("decimal.Decimal('-1')", -1),
        ("'mid'", "mid"),
        ("None", None),
        ("[1, 2]", [1, 2]),
        ("(1, 2)", [1, 2]),
        ("Field(5)", 5),
        ("Field(default=Decimal('0.5'), gt=0)", 0.5),
        ("pydantic.Field(default=False)", False),
    ],
)
def test_a_default_is_read_however_it_is_written(value, default):
    assert setting(f": Any = {value}")["default"] == default
    assert not is_required(f": Any = {value}")


@pytest.mark.parametrize(
    "value",
    [
        "60 * 60",
        "{1, 2}",
        "b'x'",
        "Decimal('x')",
        "DAY",
        "Field(default_factory=list)",
        "1e400",
        "Decimal('1e400')",
        "Decimal('inf')",
        f"Decimal({10**400})",
    ],
)
def test_a_default_known_only_at_run_time_is_left_to_the_server(value):
    assert "default" not in setting(f": Any = {value}")
    assert not is_required(f": Any = {value}")


@pytest.mark.parametrize("value", ["", " = ...", " = Field(...)", " = Field(gt=0)", " = Field(default=...)"])
def test_a_setting_without_a_default_is_required(value):
    assert is_required(f": int{value}")


def test_bounds_and_words_are_read():
    declaration = ": Decimal = Field(Decimal('0.1'), gt=0, le=Decimal('1'), description='How far: ' '0.1 is 10 %.')"
    assert setting(declaration) == {
        "type": "number",
        "default": 0.1,
        "exclusiveMinimum": 0,
        "maximum": 1,
        "description": "How far: 0.1 is 10 %.",
    }
    assert setting(": int = Field(ge=-1, lt=10)") == {"type": "integer", "minimum": -1, "exclusiveMaximum": 10}
    assert setting(": int = Field(gt=LEAST, description=WORDS)") == {"type": "integer"}


def test_what_is_no_setting_is_left_out():
    fields = "    _secret: int = 1\n    plain = 2\n    @property\n    def amount(self) -> int:\n        return 1"
    assert read_script(script(fields)).schema["properties"] == {}


# --- its classes ---


@pytest.mark.parametrize(
    "source",
    [
        script(config="MineConfig(Words, StrategyV2ConfigBase)"),
        script().replace("Mine(StrategyV2Base)", "Mine(Mixin, StrategyV2Base)"),
        "import hummingbot.strategy.strategy_v2_base as base\n"
        f"class MineConfig(base.StrategyV2ConfigBase):\n{MARKET}\nclass Mine(base.StrategyV2Base): pass",
        "from hummingbot.strategy.strategy_v2_base import StrategyV2Base as S, StrategyV2ConfigBase as C\n"
        f"class MineConfig(C):\n{MARKET}\nclass Mine(S): pass",
    ],
)
def test_the_classes_are_found_however_their_bases_are_written(source):
    read = read_script(source)
    assert (read.strategy_class, read.config_class, read.problems) == ("Mine", "MineConfig", ())


@pytest.mark.parametrize("name", [name for name in BUNDLED if "source_file" in BUNDLED[name]])
def test_a_bundled_script_reads_as_its_settings_say(name):
    source = Path(settings.BASE_DIR, "bots/strategies/bundled_scripts", BUNDLED[name]["source_file"]).read_text(
        encoding="utf-8"
    )
    read, schema = read_script(source), BUNDLED[name]["schema"]
    assert not read.problems
    assert read.schema["properties"].keys() == schema["properties"].keys()
    for setting, described in read.schema["properties"].items():
        assert described["type"] == schema["properties"][setting]["type"]
        assert described.get("default") == schema["properties"][setting].get("default")


# --- why a server could not start it ---


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def (:", "This is not valid Python: invalid syntax in line 1."),
        ("a = '\0'", "This is not valid Python: "),
        ("-" * 100_000, "This is not valid Python: "),
        (IMPORTS + STRATEGY, "The script has no config class, so it has no settings and a server can't start it."),
        (script().replace(STRATEGY, ""), "The script has no strategy class."),
        (
            script(config="ZConfig(StrategyV2ConfigBase)"),
            "A server would ignore the config class ZConfig, because it sorts after StrategyV2ConfigBase.",
        ),
        (
            script(market="    trading_pair: str\n"),
            "The config class MineConfig must declare the market. It has no connector_name.",
        ),
        (
            script(market="    pass\n"),
            "The config class MineConfig must declare the market. It has no connector_name and no trading_pair.",
        ),
        (
            "from hummingbot.strategy.script_strategy_base import ScriptStrategyBase\n"
            "class Mine(ScriptStrategyBase): pass",
            "This script can't start: ScriptStrategyBase was replaced by StrategyV2Base.",
        ),
        (
            "from hummingbot.strategy.script_strategy_base import ScriptStrategyBase as Base\nclass Mine(Base): pass",
            "This script can't start: ScriptStrategyBase was replaced by StrategyV2Base.",
        ),
        (
            "class Mine(PureMarketMakingStrategyV2): pass",
            "This script can't start: there is no PureMarketMakingStrategyV2 in Hummingbot.",
        ),
        (
            "import hummingbot.strategy.pure_market_making.pure_market_making_v2 as pmm",
            "This script can't start: hummingbot.strategy.pure_market_making.pure_market_making_v2 does not exist.",
        ),
    ],
)
def test_a_script_that_no_server_could_start_is_reported_with_the_reason(source, reason):
    (problem,) = read_script(source).problems
    assert problem.startswith(reason)


@pytest.mark.parametrize("source", [IMPORTS + STRATEGY, "class Mine(PureMarketMakingStrategyV2): pass"])
def test_the_fix_is_reported_too(source):
    (problem,) = read_script(source).problems
    assert problem.endswith(FIX_HINT)


def test_a_script_with_nothing_in_it_lacks_both_classes():
    assert [problem.partition(".")[0] for problem in read_script("").problems] == [
        "The script has no strategy class",
        "The script has no config class, so it has no settings and a server can't start it",
    ]


def test_a_script_is_never_run(tmp_path):
    there = tmp_path / "ran"
    read_script(f"open({str(there)!r}, 'w')\n{script()}")
    assert not there.exists()
