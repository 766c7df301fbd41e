"""What is installed beside this program, as a CycloneDX 1.6 bill of materials.

`fleetline sbom` writes it to standard output, as the image is built. It names the Python
packages of its interpreter; what the base image brings is the base image's to name.
"""

import json
import sys
import uuid
from importlib.metadata import Distribution, distributions
from typing import Any

# A UUID of the content (RFC 9562 section 5.5): the same packages give the same document.
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
PRODUCT = "fleetline"


def bill_of_materials(installed: list[Distribution]) -> dict[str, Any]:
    """The document. Components are sorted by name; the product itself is what they are part of."""
    found = {component["purl"]: component for component in map(_component, installed)}
    components = sorted(found.values(), key=lambda one: (one["name"], one["version"]))
    product = next((one for one in components if one["name"] == PRODUCT), None)
    listed = [one for one in components if one is not product]
    serial = uuid.uuid5(_NAMESPACE, "\n".join(sorted(found)))
    metadata: dict[str, Any] = {"lifecycles": [{"phase": "build"}]}
    if product is not None:
        metadata["component"] = {**product, "type": "application"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": metadata,
        "components": listed,
    }


def write() -> None:
    """Write the document of this interpreter to standard output."""
    json.dump(bill_of_materials(list(distributions())), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _component(one: Distribution) -> dict[str, Any]:
    """A package as the purl specification names it: lower case, dashes."""
    name = one.metadata["Name"].lower().replace("_", "-").replace(".", "-")
    purl = f"pkg:pypi/{name}@{one.version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": one.version,
        "purl": purl,
    }
    # An SPDX expression (PEP 639) is a licence that programs can read; older fields are prose.
    expressions = one.metadata.get_all("License-Expression")
    if expressions:
        component["licenses"] = [{"expression": expressions[0]}]
    return component
