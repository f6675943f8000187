#!/usr/bin/env python
"""Django's command line for the control panel."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlpanel.settings")
    from controlpanel.starting.terminal import main

    main(sys.argv)
