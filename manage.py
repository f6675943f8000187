#!/usr/bin/env python
"""Django's command line for the control panel."""

import os
import sys

from controlpanel.starting import run_command

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")
    run_command(sys.argv)
