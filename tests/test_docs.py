"""The documentation names files that exist."""

import re

import pytest
from django.conf import settings

PAGES = sorted([*settings.BASE_DIR.glob("*.md"), *(settings.BASE_DIR / "docs").glob("*.md")])
#: Made by the demo, in whichever folder it is started.
MADE_LATER = {"var/demo"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_path_leads_to_a_file(page):
    text = page.read_text()
    links = {page.parent / link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)}
    paths = {path for path in re.findall(r"`(\w[\w.-]*/[\w./-]*)`", text) if path not in MADE_LATER}
    missing = [link for link in links if not link.exists()]
    missing += [path for path in paths if not (settings.BASE_DIR / path).exists()]
    assert missing == []


def test_the_readme_is_short():
    assert len((settings.BASE_DIR / "README.md").read_text().splitlines()) <= 120
