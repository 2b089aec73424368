"""Charts of somebody else that use the library. In: a pod template. Out: a folder with a chart around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.charts import helm

_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: switch
  namespace: {{ .Release.Namespace }}
spec:
  selector:
    matchLabels:
      app: switch
  template:
    {{- include "sipgateway-switch.podTemplate" (dict "context" . "template" "their.podTemplate") | nindent 4 }}
"""


def chart(folder: Path, pod: str | dict[str, Any], values: dict[str, Any] | None = None, *, alias: str = "") -> Path:
    """A chart whose pod template is `pod`: a spec, or the text of a template."""
    template = pod if isinstance(pod, str) else yaml.safe_dump({"metadata": {"labels": {"app": "switch"}}, "spec": pod})
    dependency = {"name": helm.LIBRARY.name, "version": helm.VERSION, "repository": f"file://{helm.LIBRARY}"}
    if alias:
        dependency["alias"] = alias
    definition = {"apiVersion": "v2", "name": "their-switch", "version": "1.0.0", "dependencies": [dependency]}
    made = folder / "their-switch"
    (made / "templates").mkdir(parents=True)
    (made / "charts").mkdir()
    (made / "charts" / helm.LIBRARY.name).symlink_to(helm.LIBRARY)
    (made / "Chart.yaml").write_text(yaml.safe_dump(definition))
    (made / "values.yaml").write_text(yaml.safe_dump({helm.LIBRARY.name: values or {}}))
    (made / "templates" / "_pod.tpl").write_text(
        f'{{{{- define "their.podTemplate" -}}}}\n{template}\n{{{{- end -}}}}\n'
    )
    (made / "templates" / "deployment.yaml").write_text(_DEPLOYMENT)
    (made / "templates" / "sipgateway.yaml").write_text('{{ include "sipgateway-switch.objects" . }}\n')
    return made


def pod_of(made: Path) -> dict[str, Any]:
    """The pod template that the library gives."""
    found: dict[str, Any] = helm.only(helm.render(made), "Deployment")["spec"]["template"]
    return found


#: The least that a switch pod can be.
BARE: dict[str, Any] = {"containers": [{"name": "freeswitch", "image": "registry.example.com/freeswitch:1.10.12"}]}

#: One that has said everything itself that the agent would add.
OPINIONATED: dict[str, Any] = {
    "serviceAccountName": "switch",
    "automountServiceAccountToken": True,
    "securityContext": {"fsGroup": 2000, "runAsUser": 1000, "runAsNonRoot": True},
    "initContainers": [{"name": "prepare", "image": "registry.example.com/prepare:1"}],
    "containers": [
        {"name": "proxy", "image": "registry.example.com/proxy:1"},
        {
            "name": "freeswitch",
            "image": "registry.example.com/freeswitch:1.10.12",
            "lifecycle": {
                "preStop": {"exec": {"command": ["fs_cli", "-x", "fsctl shutdown elegant"]}},
                "postStart": {"exec": {"command": ["true"]}},
            },
            "volumeMounts": [{"name": "logs", "mountPath": "/var/log/freeswitch"}],
        },
    ],
    "volumes": [{"name": "logs", "emptyDir": {"medium": "Memory"}}],
}
