{{- define "freeswitch-example.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "freeswitch-example.selector" -}}
app.kubernetes.io/name: freeswitch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "freeswitch-example.labels" -}}
{{ include "freeswitch-example.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "freeswitch-example.eslSecret" -}}
{{- (index .Values "sipgateway-switch").esl.passwordSecret.name -}}
{{- end -}}
