"""The settings of the bundled strategies, one module for each kind."""
