"""The panel's version: of pyproject.toml, which is not there where the panel is installed from a copy."""

VERSION = "1.0.0"
