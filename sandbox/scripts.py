"""Reading a strategy script the way a server would by importing it, without running any of it."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

#: What pydantic calls a field without a default, as the server writes it into its answers.
UNDEFINED = "PydanticUndefined"
#: Modules that scripts found on the internet import and that today's Hummingbot does not have.
MISSING_MODULES = frozenset({"hummingbot.strategy.pure_market_making.pure_market_making_v2"})


class UnusableScriptError(Exception):
    """The server imports the script and finds nothing that it can start."""


@dataclass(frozen=True)
class ConfigClass:
    """The configuration class of a script: its name and its fields with their defaults."""

    name: str
    defaults: Mapping[str, object]


@lru_cache(maxsize=64)
def read_config_class(source: str) -> ConfigClass:
    """Find the configuration class in a script's source, which a server imports once.

    Raises:
        SyntaxError: the source is not Python.
        UnusableScriptError: it imports what does not exist, or has no configuration class.
    """
    tree = ast.parse(source)
    for module in _imported(tree) & MISSING_MODULES:
        raise UnusableScriptError(f"No module named '{module}'")
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b).endswith("ConfigBase") for b in node.bases):
            return ConfigClass(node.name, dict(_fields(node)))
    raise UnusableScriptError("The module does not contain any subclass of StrategyV2ConfigBase")


def config_template(name: str, source: str) -> dict[str, object]:
    """Return what the server offers as a new configuration of a script; raises as ``read_config_class`` does."""
    defaults = dict(read_config_class(source).defaults)
    own_name = defaults.pop("script_file_name", None)
    named_by_literal = isinstance(own_name, str) and own_name.endswith(".py")
    return {
        "script_file_name": own_name if named_by_literal else f"{name}.py",
        "controllers_config": defaults.pop("controllers_config", []),
        **defaults,
    }


def why_not_startable(source: str) -> str:
    """Return the error that a bot logs instead of starting the script; empty when it starts."""
    try:
        read_config_class(source)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except UnusableScriptError as error:
        return str(error)
    return ""


def _imported(tree: ast.Module) -> set[str]:
    """Return every dotted name that an import statement mentions."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _fields(node: ast.ClassDef) -> list[tuple[str, object]]:
    return [
        (statement.target.id, _default(statement.value))
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not statement.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(statement.annotation)
    ]


def _default(value: ast.expr | None) -> object:
    """Return the default as the server's JSON shows it: literals as they are, anything else as text."""
    if value is None:
        return UNDEFINED
    if isinstance(value, ast.Call):
        called = ast.unparse(value.func).rpartition(".")[2]
        if called == "Field":
            keywords = {keyword.arg: keyword.value for keyword in value.keywords}
            return _default(value.args[0] if value.args else keywords.get("default"))
        if called == "Decimal" and value.args:
            return str(_default(value.args[0]))
    try:
        literal = ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value)
    if literal is ...:
        return UNDEFINED
    return str(literal) if isinstance(literal, set | bytes | complex) else literal
