"""How the panel is watched from outside: its log as JSON, its metrics, its error reports, and the page of its state."""
