"""Accounts with their credentials, connectors, portfolio."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request

from hummingbot_api.names import NAME
from hummingbot_api.results import ConnectorField
from sandbox.catalog import CONNECTORS
from sandbox.clock import utc
from sandbox.markets import MARKETS
from sandbox.reports import INTERVALS, SNAPSHOT_EVERY, balances
from sandbox.routes.bodies import PortfolioHistoryFilterRequest, PortfolioStateFilterRequest
from sandbox.routes.context import Faulty, TheWorld
from sandbox.transport import CrashError
from sandbox.world import MASTER_ACCOUNT, World

#: How long the server takes to log in to an exchange, in sandbox seconds.
LOGIN_SECONDS = 2.0
KEY_REFUSED = "Error: the exchange answered 401 Unauthorized: Invalid API-key, IP, or permissions for action."

router = APIRouter()


@router.get("/accounts/")
async def list_accounts(world: TheWorld) -> list[str]:
    return list(world.accounts)


@router.get("/accounts/{account_name}/credentials")
async def list_credentials(account_name: str, world: TheWorld) -> list[str]:
    if account_name not in world.accounts:
        raise HTTPException(404, f"Directory 'credentials/{account_name}/connectors' not found")
    return list(world.accounts[account_name])


@router.post("/accounts/add-account", status_code=201)
async def add_account(account_name: str, world: TheWorld) -> dict[str, str]:
    if not NAME.fullmatch(account_name):
        allowed = "Only letters, numbers, underscores and hyphens are allowed."
        raise HTTPException(400, f"Invalid account name: {account_name!r}. {allowed}")
    if account_name in world.accounts:
        raise HTTPException(400, "Account already exists.")
    with world.changing():
        world.accounts[account_name] = {}
        if MASTER_ACCOUNT in world.unreadable:
            world.unreadable.add(account_name)  # its copy
    return {"message": "Account added successfully."}


@router.post("/accounts/delete-account")
async def delete_account(account_name: str, world: TheWorld) -> dict[str, str]:
    if account_name == MASTER_ACCOUNT:
        raise HTTPException(400, "Cannot delete master account.")
    if account_name not in world.accounts:
        raise HTTPException(404, f"Folder '{account_name}' not found in 'credentials'")
    with world.changing():
        del world.accounts[account_name]
        world.unreadable.discard(account_name)
    return {"message": "Account deleted successfully."}


@router.post("/accounts/add-credential/{account_name}/{connector_name}", status_code=201)
async def add_credential(
    account_name: str, connector_name: str, credentials: dict[str, Any], world: TheWorld, faulty: Faulty
) -> dict[str, str]:
    if refusal := world.credential_refusal(account_name, connector_name, credentials):
        raise HTTPException(400, refusal)
    world.clock.block(LOGIN_SECONDS)  # nothing else is served meanwhile
    fault = faulty("exchange_refuses_key")
    lacking = any(f.required and credentials.get(f.name) in (None, "") for f in CONNECTORS[connector_name])
    with world.changing():
        account = world.accounts[account_name]
        if not fault and not lacking:
            account[connector_name] = credentials
            return {"message": "Connector credentials added successfully."}
        if fault and fault.options.get("leaves_file"):
            account[connector_name] = credentials
        else:
            account.pop(connector_name, None)
    raise HTTPException(400, str(fault.options.get("message", KEY_REFUSED)) if fault else KEY_REFUSED)


@router.post("/accounts/delete-credential/{account_name}/{connector_name}")
async def delete_credential(account_name: str, connector_name: str, world: TheWorld) -> dict[str, str]:
    if account_name not in world.accounts:
        raise HTTPException(404, f"Directory 'credentials/{account_name}/connectors' not found")
    if connector_name not in world.accounts[account_name]:
        raise HTTPException(404, f"File '{connector_name}.yml' not found in 'credentials/{account_name}/connectors'")
    with world.changing():
        del world.accounts[account_name][connector_name]
    return {"message": "Credential deleted successfully."}


@router.get("/connectors/")
async def list_connectors() -> list[str]:
    return list(CONNECTORS)


@router.get("/connectors/{connector_name}/config-map")
async def config_map(connector_name: str, request: Request) -> Any:
    if connector_name not in CONNECTORS:
        raise CrashError(connector_name)
    fields = CONNECTORS[connector_name]
    if request.app.state.legacy_config_map:
        return [field.name for field in fields]
    return _described(fields)


def _described(fields: Sequence[ConnectorField]) -> dict[str, Any]:
    return {
        field.name: {
            "type": field.type,
            "required": field.required,
            **({"allowed_values": list(field.allowed_values)} if field.allowed_values else {}),
        }
        for field in fields
    }


@router.post("/portfolio/state")
async def portfolio_state(
    wanted: PortfolioStateFilterRequest, world: TheWorld, faulty: Faulty
) -> dict[str, dict[str, list[Any]]]:
    state = _holdings(world, wanted, world.clock.now() // SNAPSHOT_EVERY * SNAPSHOT_EVERY)
    if fault := faulty("balances_unreadable"):
        for connectors in state.values():
            for tokens in connectors.values():
                # The last of the two, so that one is still a number.
                tokens[-1] |= dict.fromkeys(("units", "available_units", "price", "value"), fault.options.get("value"))
    return state


@router.post("/portfolio/history")
async def portfolio_history(wanted: PortfolioHistoryFilterRequest, world: TheWorld) -> dict[str, Any]:
    """Return the holdings at each snapshot since the sandbox started, the newest first; times are in milliseconds."""
    every = INTERVALS.get(wanted.interval or "", SNAPSHOT_EVERY)
    newest = int(world.clock.now() // SNAPSHOT_EVERY * SNAPSHOT_EVERY)
    oldest = max(world.born_at - SNAPSHOT_EVERY, (wanted.start_time or 0) / 1000 - 1)
    moments = [
        moment
        for moment in range(newest, int(oldest), -every)
        if (wanted.end_time is None or moment <= wanted.end_time / 1000)
        and (wanted.cursor is None or utc(moment).isoformat() < wanted.cursor)
    ]
    page = moments[: wanted.limit]
    # One account's snapshots are cut to the limit before they are counted: there never is a second page of them.
    has_more = len(moments) > len(page) and len(wanted.account_names or ()) != 1
    return {
        "data": [{"timestamp": utc(moment).isoformat(), "state": _holdings(world, wanted, moment)} for moment in page],
        "pagination": {
            "limit": wanted.limit,
            "has_more": has_more,
            "next_cursor": utc(page[-1]).isoformat() if has_more else None,
            "current_cursor": wanted.cursor,
            "filters": wanted.model_dump(
                include={"account_names", "connector_names", "start_time", "end_time", "interval"}
            ),
        },
    }


def _holdings(
    world: World, wanted: PortfolioStateFilterRequest | PortfolioHistoryFilterRequest, moment: float
) -> dict[str, dict[str, list[Any]]]:
    """Return balances by account and connector; the master account only shows up once it has a key, and an empty list
    of names means all.
    """
    with world.lock:
        return {
            account: {
                connector: _tokens(world, account, connector, moment)
                for connector in connectors
                if account not in world.unreadable
                and (not wanted.connector_names or connector in wanted.connector_names)
            }
            for account, connectors in world.accounts.items()
            if (connectors or account != MASTER_ACCOUNT)
            and (not wanted.account_names or account in wanted.account_names)
        }


def _tokens(world: World, account: str, connector: str, moment: float) -> list[dict[str, object]]:
    """Return the tokens of one account on one exchange, with prices and values in dollars."""
    if world.market is None:
        return balances(account, connector, moment)
    tokens: list[dict[str, object]] = []
    for token, balance in world.balances(account, connector, moment).items():
        pair = next((pair for pair in MARKETS if pair.partition("-")[0] == token), None)
        price = float(world.mid(pair, moment)) if pair else 1.0
        tokens.append(
            {
                "token": token,
                "units": float(balance.total),
                "price": price,
                "value": round(float(balance.total) * price, 2),
                "available_units": float(balance.available),
            }
        )
    return tokens
