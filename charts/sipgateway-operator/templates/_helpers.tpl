{{- /* Names, labels and rights that the other templates share. */ -}}

{{- define "sipgateway-operator.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Release.Name $name -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sipgateway-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sipgateway-operator.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: name the one to use, since serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sipgateway-operator.image" -}}
{{- if .Values.image.digest -}}
{{- .Values.image.repository }}@{{ .Values.image.digest -}}
{{- else -}}
{{- .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}
{{- end -}}

{{- define "sipgateway-operator.syncImage" -}}
{{- .Values.sync.image | default (printf "%s:%s-sync" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)) -}}
{{- end -}}

{{- /* In: (list context component). */ -}}
{{- define "sipgateway-operator.labels" -}}
{{- $context := first . -}}
{{- with last . -}}
app.kubernetes.io/name: sipgateway
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/version: {{ $context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sipgateway-operator.selector" -}}
app.kubernetes.io/name: sipgateway
app.kubernetes.io/component: operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The namespaces that are looked at, as a YAML list; empty for all. */ -}}
{{- define "sipgateway-operator.namespaces" -}}
{{- if .Values.watch.allNamespaces -}}
[]
{{- else -}}
{{- .Values.watch.namespaces | default (list .Release.Namespace) | toJson -}}
{{- end -}}
{{- end -}}

{{- /* What the operator may do where it looks, whether by Roles or by a ClusterRole. */ -}}
{{- define "sipgateway-operator.rules" -}}
rules:
  # What is wanted: every SipGateway, seeded by a list and followed by a watch. `get` is for the look at one whose
  # write was refused because it had changed.
  - apiGroups: [sipgateway.dev]
    resources: [sipgateways]
    verbs: [get, list, watch]
  # What became of it: conditions, by a patch of the subresource. The spec is never written.
  - apiGroups: [sipgateway.dev]
    resources: [sipgateways/status]
    verbs: [patch]
  # What the switches say. Only the agents write it.
  - apiGroups: [sipgateway.dev]
    resources: [sipswitches]
    verbs: [list, watch]
  # Which switch pods there are (by the label sipgateway.dev/switch): one that says nothing must count too.
  - apiGroups: [""]
    resources: [pods]
    verbs: [list, watch]
  # Credentials and keys. Lists and watches always carry a label selector (sipgateway.dev/credentials=true, or
  # sipgateway.dev/keys), which RBAC cannot ask for; a Secret without the label is never read. `create` and `patch` are
  # for the keys of a fleet alone: the policy secrets.sipgateway.dev refuses any other.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get, list, watch, create, patch]
  # One ConfigMap for each SipGateway: made, put back when somebody else changed it, removed when its SipGateway is
  # suspended or elsewhere. `get` is for the look at one whose write was refused.
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [get, list, watch, create, patch, delete]
  # What `kubectl describe sipgateway` shows of changes.
  - apiGroups: [""]
    resources: [events]
    verbs: [create]
{{- end -}}

{{- /* Selector of the namespaces in which the agent is injected. */ -}}
{{- define "sipgateway-operator.injectionNamespaces" -}}
{{- $namespaces := include "sipgateway-operator.namespaces" . | fromJsonArray -}}
{{- if .Values.injection.namespaceLabels -}}
matchLabels:
  {{- toYaml .Values.injection.namespaceLabels | nindent 2 }}
{{- else if $namespaces -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{ toJson $namespaces }}
{{- else -}}
{}
{{- end -}}
{{- end -}}
