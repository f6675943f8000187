#!/bin/sh
# Looks at the packages of requirements.txt, and at the scripts that are bundled in controlpanel/assets: their licenses,
# known vulnerabilities (of the first), and a list of them (SBOM) for a release. Called by “./run supply”, from the
# project's folder.
set -eu
tools=.venv-supply/bin
sbom=${1:-var/sbom.json}

wanted=$(cksum < supply_chain/requirements.txt)
if [ "$(cat .venv-supply/installed 2>/dev/null)" != "$wanted" ]; then
    echo "Installing the tools into .venv-supply ..."
    [ -x $tools/python ] || .venv/bin/python -m venv .venv-supply
    $tools/python -m pip install --quiet --disable-pip-version-check -r supply_chain/requirements.txt
    echo "$wanted" > .venv-supply/installed
fi

# Those of the packages alone that the panel runs on: .venv has the ones for tests too.
packages=$(sed -n 's/^\([A-Za-z0-9._-]*\)[=[].*/\1/p' requirements.txt)
# shellcheck disable=SC2086 # each name is an argument of its own
$tools/pip-licenses --python .venv/bin/python --packages $packages --partial-match --order name --format markdown \
    --ignore-packages huey tzdata --allow-only "$(paste -s -d ';' supply_chain/licenses-allowed.txt)" > var/licenses.md
# tzdata (Apache-2.0) is installed on Windows alone. huey names its license in a file alone.
grep -q 'Permission is hereby granted, free of charge' .venv/lib/python3*/site-packages/huey-*.dist-info/licenses/LICENSE
echo '| huey | by its LICENSE file | MIT |' >> var/licenses.md
.venv/bin/python supply_chain/bundled.py >> var/licenses.md
echo "Licenses: each is among those in supply_chain/licenses-allowed.txt."
if ! diff -u supply_chain/licenses.md var/licenses.md; then
    echo "supply_chain/licenses.md is not the list of today's packages. Copy var/licenses.md there." >&2
    exit 1
fi

mkdir -p "$(dirname "$sbom")"
$tools/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible -o "$sbom"
.venv/bin/python supply_chain/bundled.py "$sbom"
echo "SBOM: $sbom"

# Where the source of advisories can't be asked, that is said, and is no failure. What it knows of is one.
rm -f var/vulnerabilities.json
if $tools/pip-audit --require-hashes --disable-pip --strict --progress-spinner off -r requirements.txt \
    --format json --output var/vulnerabilities.json 2> var/pip-audit.log; then
    echo "Vulnerabilities: none is known."
elif [ -s var/vulnerabilities.json ]; then
    cat var/pip-audit.log var/vulnerabilities.json >&2
    exit 1
else
    echo "Vulnerabilities: SKIPPED, the source of advisories did not answer. Run “./run supply” where it does:"
    tail -n 1 var/pip-audit.log
fi
