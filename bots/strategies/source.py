"""A script's classes and settings, read from its syntax tree. A script is never run here: it is a user's code.

A Hummingbot server accepts any text as a script and reports no error when it can't start it. So the panel checks first.
"""

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import Any

from bots.strategies.schema import title_from

#: Set by the panel for every bot, so they are no settings of the strategy.
MARKET_FIELDS = frozenset({"script_file_name", "controllers_config", "connector_name", "trading_pair"})
FIX_HINT = (
    "Write one class based on StrategyV2Base and one config class based on StrategyV2ConfigBase, both from "
    "hummingbot.strategy.strategy_v2_base. The bundled strategy “spread” is an example."
)
#: What scripts found on the internet build on, and what became of it.
GONE = {
    "pure_market_making_v2": "hummingbot.strategy.pure_market_making.pure_market_making_v2 does not exist",
    "PureMarketMakingStrategyV2": "there is no PureMarketMakingStrategyV2 in Hummingbot",
    "ScriptStrategyBase": "ScriptStrategyBase was replaced by StrategyV2Base",
}
_TYPES = {"int": "integer", "float": "number", "Decimal": "number", "bool": "boolean", "str": "string"}
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


@dataclass(frozen=True)
class Script:
    """A script's two classes and its settings.

    Attributes:
        strategy_class: on ``StrategyV2Base``; empty when there is none.
        config_class: on ``StrategyV2ConfigBase``; empty when there is none.
        schema: JSON Schema of the config class's own fields, the market's left out.
        problems: why a server could not start it, a sentence each with the fix; empty when nothing was found.
        marks: those of the problems that are in one place, each with the number of its line.
    """

    strategy_class: str = ""
    config_class: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    marks: tuple[tuple[int, str], ...] = ()


@lru_cache(maxsize=64)
def read_script(source: str) -> Script:
    """Read a script without running it."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        where = f" in line {error.lineno}" if error.lineno else ""
        sentence = f"This is not valid Python: {error.msg}{where}."
        return Script(problems=(sentence,), marks=((error.lineno, sentence),) if error.lineno else ())
    except ValueError as error:  # how some versions of Python refuse a NUL byte
        return Script(problems=(f"This is not valid Python: {error}.",))
    except (MemoryError, RecursionError):
        return Script(problems=("This is not valid Python: it is nested too deeply.",))
    _undo_aliases(tree)
    strategy, config = _class_on(tree, "StrategyV2Base"), _class_on(tree, "StrategyV2ConfigBase")
    found = list(_problems(tree, strategy, config))
    return Script(
        strategy_class=strategy.name if strategy else "",
        config_class=config.name if config else "",
        schema=_schema(config) if config else {},
        problems=tuple(sentence for _, sentence in found),
        marks=tuple((line, sentence) for line, sentence in found if line),
    )


def _problems(
    tree: ast.Module, strategy: ast.ClassDef | None, config: ast.ClassDef | None
) -> Iterator[tuple[int, str]]:
    """Yield each problem with the number of its line, or 0 for the whole script."""
    for name, reason in GONE.items():
        if name in _names(tree):
            yield 0, f"This script can't start: {reason}. {FIX_HINT}"
            return
    if strategy is None:
        yield 0, f"The script has no strategy class. {FIX_HINT}"
    if config is None:
        yield 0, f"The script has no config class, so it has no settings and a server can't start it. {FIX_HINT}"
        return
    if config.name > "StrategyV2ConfigBase":
        # The server takes the first config class by alphabet and does not leave out the imported base class.
        yield (
            config.lineno,
            f"A server would ignore the config class {config.name}, because it sorts after StrategyV2ConfigBase. "
            "Rename it so that it starts with an earlier letter.",
        )
    if lacking := {"connector_name", "trading_pair"} - _fields(config).keys():
        names = " and no ".join(sorted(lacking))
        yield config.lineno, f"The config class {config.name} must declare the market. It has no {names}."


def _undo_aliases(tree: ast.Module) -> None:
    """Let every base class have the name that it has where it comes from: ``import … StrategyV2Base as Base``."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    names = {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name):
                    base.id = names.get(base.id, base.id)


def _class_on(tree: ast.Module, base: str) -> ast.ClassDef | None:
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return next((node for node in classes if any(_last_name(b) == base for b in node.bases)), None)


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _names(tree: ast.Module) -> set[str]:
    """Return every name that the script imports or builds on."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            names.update((node.module or "").split("."), (alias.name for alias in node.names))
        elif isinstance(node, ast.ClassDef):
            names.update(map(_last_name, node.bases))
    return names


def _fields(config: ast.ClassDef) -> dict[str, ast.AnnAssign]:
    return {
        node.target.id: node
        for node in config.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_")
    }


def _schema(config: ast.ClassDef) -> dict[str, Any]:
    own = {name: node for name, node in _fields(config).items() if name not in MARKET_FIELDS}
    return {
        "type": "object",
        "properties": {name: _property(name, node) for name, node in own.items()},
        "required": [name for name, node in own.items() if _default(node.value) is None],
        "additionalProperties": False,
    }


def _property(name: str, node: ast.AnnAssign) -> dict[str, Any]:
    """Return a setting as its declaration defines it: type, default, bounds and description."""
    setting: dict[str, Any] = {"title": title_from(name), **annotated(node.annotation)}
    keywords = _keywords(node.value)
    notified = {"default": _default(node.value), "description": keywords.get("description")}
    notified |= {rule: keywords.get(bound) for bound, rule in _BOUNDS.items()}
    values = {rule: _literal(expression) for rule, expression in notified.items()}
    return setting | {rule: value for rule, value in values.items() if value is not ...}


def _keywords(value: ast.expr | None) -> dict[str, ast.expr]:
    """Return the keywords of a field's declaration: ``Field(…, gt=0)``."""
    if isinstance(value, ast.Call) and _last_name(value.func) == "Field":
        return {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    return {}


def _default(value: ast.expr | None) -> ast.expr | None:
    """Return the expression for a field's default; nothing when it has none and must be given."""
    if isinstance(value, ast.Call) and _last_name(value.func) == "Field":
        keywords = _keywords(value)
        value = value.args[0] if value.args else keywords.get("default", keywords.get("default_factory"))
    return None if isinstance(value, ast.Constant) and value.value is ... else value


def _unknown(name: str) -> dict[str, Any]:
    return {}


def annotated(annotation: ast.expr, named: Callable[[str], dict[str, Any]] = _unknown) -> dict[str, Any]:
    """Return the JSON Schema for an annotation; empty for what is known only at run time.

    Args:
        named: the schema for a class by its name, where it is no plain type.
    """
    match annotation:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Subscript(value=outer, slice=inner):
            return _generic(_last_name(outer), inner, named)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _either(annotated(left, named), annotated(right, named))
    name = _last_name(annotation)
    kind = _TYPES.get(name)
    return {"type": kind} if kind else named(name)


def _generic(outer: str, inner: ast.expr, named: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match outer.lower():
        case "optional":
            return _either(annotated(inner, named), {"type": "null"})
        case "union" if len(parts) == 2:
            return _either(*(annotated(part, named) for part in parts))
        case "annotated":
            return annotated(parts[0], named)
        case "literal":
            return {"enum": [value for value in map(_literal, parts) if value is not ...]}
        case "list":
            return {"type": "array", "items": annotated(inner, named)}
        case "dict":
            return {"type": "object"}
    return {}


def _either(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional type; any other union is unknown."""
    nothing = {"type": "null"}
    setting = other if one == nothing else one if other == nothing else {}
    if "enum" in setting:
        return {"enum": [*setting["enum"], None]}
    return setting | {"type": [setting["type"], "null"]} if "type" in setting else {}


def _literal(node: ast.expr | None) -> Any:
    """Return the value of a literal or of ``Decimal("…")``; ``...`` for what is known only at run time."""
    if isinstance(node, ast.Call) and _last_name(node.func) == "Decimal" and len(node.args) == 1:
        try:
            number = float(_literal(node.args[0]))
        except (TypeError, ValueError, OverflowError):
            return ...
        if not isfinite(number):
            return ...
        return int(number) if number.is_integer() else number
    try:
        return ... if node is None else json.loads(json.dumps(ast.literal_eval(node), allow_nan=False))
    except (TypeError, ValueError):  # a set, for one, is nothing that JSON has
        return ...
