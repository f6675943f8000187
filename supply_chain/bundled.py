"""The JavaScript packages that are bundled in ``controlpanel/assets``, as ``package-lock.json`` pins them.

``bundled.py`` prints a row of the list of licenses for each; ``bundled.py SBOM`` adds them to that file.
"""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def packages() -> Iterator[tuple[str, dict[str, str]]]:
    locked = json.loads((ROOT / "controlpanel" / "from_npm" / "package-lock.json").read_text())["packages"]
    for place, facts in locked.items():
        if place and not facts.get("dev"):
            yield place.removeprefix("node_modules/"), facts


def component(name: str, facts: dict[str, str]) -> dict[str, object]:
    """Return it as CycloneDX has it."""
    return {
        "type": "library",
        "name": name,
        "version": facts["version"],
        "purl": f"pkg:npm/{name.replace('@', '%40')}@{facts['version']}",
        "licenses": [{"license": {"id": facts["license"]}}],
        "hashes": [{"alg": "SHA-512", "content": base64.b64decode(facts["integrity"].removeprefix("sha512-")).hex()}],
    }


def main(*sbom: str) -> None:
    for path in map(Path, sbom):
        document = json.loads(path.read_text())
        document["components"] += [component(*package) for package in packages()]
        path.write_text(json.dumps(document, indent=2))
    if not sbom:
        allowed = (ROOT / "supply_chain" / "licenses-allowed.txt").read_text().splitlines()
        for name, facts in packages():
            if facts["license"] not in allowed:
                sys.exit(f"{name} has a license that is not in supply_chain/licenses-allowed.txt: {facts['license']}")
            sys.stdout.write(f"| {name} | {facts['version']} | {facts['license']} |\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
