"""Checks a compose file against the compose specification: compose.py FILE"""

import json
import sys

import compose_spec
import yaml

file = sys.argv[1]
with open(file) as text:
    # With merged keys (`<<`), which the specification's parser leaves to YAML's.
    project = yaml.safe_load(text)
compose_spec.PyCompose.from_json(json.dumps(project)).validate()

# What that does not compare: the named volumes of services with the list of volumes.
declared = set(project.get("volumes", {}))
for name, service in project["services"].items():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith((".", "/")) and source not in declared:
            sys.exit(f"{file}: {name} uses the volume {source}, which is not declared")
