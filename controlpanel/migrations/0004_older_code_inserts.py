from django.db import migrations

from core.migrating import let_older_code_insert


class Migration(migrations.Migration):
    """The columns since 1.0.0."""

    dependencies = [
        ("controlpanel", "0003_view_system"),
        ("accounts", "0006_watching_thousands"),
        ("bots", "0005_watching_thousands"),
        ("markets", "0002_watching_thousands"),
        ("notifications", "0004_fleet_incidents"),
        ("operations", "0005_tally"),
    ]

    operations = [
        let_older_code_insert(
            {
                "accounts_server": {
                    "next_market_poll": "now()",
                    "next_look": "now()",
                    "outbound_addresses": "''",
                    "failed_polls": "0",
                },
                "bots_bot": {
                    "restart_policy": "'never'",
                    "max_restarts_per_hour": "3",
                    "changed_at": "now()",
                    "differs": "false",
                    "runs_older_key": "false",
                },
                "bots_strategy": {"changed_at": "now()"},
                "markets_quotestate": {"both_sides": "false"},
                "notifications_channel": {"severity": "'info'"},
                "operations_operation": {
                    "awaits": "''",
                    "on_behalf_of": "''",
                    "urgent": "false",
                    "wake_on": "''",
                    "wake_unless": "''",
                    "counted": "false",
                },
                "operations_workerheartbeat": {"version": "''"},
            }
        ),
    ]
