{{- /*
What goes with the pods of a fleet: ServiceAccount, rights, PodMonitor. One file of your chart is enough:

    {{ include "sipgateway-switch.objects" . }}
*/ -}}
{{- define "sipgateway-switch.objects" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
{{- if $values.serviceAccount.create }}
---
{{ include "sipgateway-switch.serviceAccount" . }}
{{- end }}
{{- if $values.rbac.create }}
---
{{ include "sipgateway-switch.rbac" . }}
{{- end }}
{{- if $values.podMonitor.create }}
---
{{ include "sipgateway-switch.podMonitor" . }}
{{- end }}
{{- end -}}

{{- define "sipgateway-switch.serviceAccount" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "sipgateway-switch.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "sipgateway-switch.labels" . | nindent 4 }}
  {{- with $values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# The agent's container mounts a token by itself, and no other container of the pod shall have one.
automountServiceAccountToken: false
{{- end -}}

{{- define "sipgateway-switch.rbac" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
{{- $name := printf "sipgateway-%s-agent" $values.switch -}}
{{- $account := include "sipgateway-switch.serviceAccountName" . -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "sipgateway-switch.labels" . | nindent 4 }}
rules:
  # The gateways of the fleet. The agent asks by the fleet's label; RBAC cannot, so this reads every ConfigMap of the
  # namespace. Passwords in ours are sealed; keep no secrets in other ConfigMaps of this namespace.
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [list, watch]
  # The keys of the fleet, to open sealed passwords and to verify what the operator wrote. This one Secret, no other.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [sipgateway-{{ $values.switch }}-keys]
    verbs: [get]
  # Evidence before a gateway is removed: whether its SipGateway is really gone, suspended or elsewhere.
  - apiGroups: [sipgateway.dev]
    resources: [sipgateways]
    verbs: [get]
  # What this pod has. RBAC knows no name of a pod beforehand; the admission policy holds each agent to its own.
  - apiGroups: [sipgateway.dev]
    resources: [sipswitches]
    verbs: [create, get, patch]
  # The heartbeat and the news: a subresource, which a write of the object leaves alone.
  - apiGroups: [sipgateway.dev]
    resources: [sipswitches/status]
    verbs: [patch]
  # Its own pod: uid, labels, and whether it is being shut down.
  - apiGroups: [""]
    resources: [pods]
    verbs: [get]
  # To make, once for the fleet, the Lease below. RBAC cannot limit `create` by name.
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [create]
  # Whose turn it is: a registering gateway is replaced on one pod of the fleet at a time.
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    resourceNames: [sipgateway-{{ $values.switch }}-turn]
    verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "sipgateway-switch.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ .Release.Namespace }}
---
# The ClusterRole comes with the operator: it lets the agent see whether the CRD of SipGateway is about to go.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: sipgateway-{{ .Release.Namespace }}-{{ $values.switch }}-agent-crd
  labels:
    {{- include "sipgateway-switch.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: sipgateway-agent-crd
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "sipgateway-switch.podMonitor" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: sipgateway-{{ $values.switch }}-agent
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "sipgateway-switch.labels" . | nindent 4 }}
    {{- with $values.podMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "sipgateway-switch.podLabels" . | nindent 6 }}
  # Series get the fleet's name as the label `sipgateway_dev_switch`.
  podTargetLabels: [sipgateway.dev/switch]
  podMetricsEndpoints:
    - port: sipgw-agent
      path: /metrics
      interval: {{ $values.podMonitor.interval }}
{{- end -}}
