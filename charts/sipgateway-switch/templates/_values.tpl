{{- /* What the other templates take from the values. In: the context of the chart that includes them. */ -}}

{{- define "sipgateway-switch.values" -}}
{{- $values := index .Values "sipgateway-switch" -}}
{{- if not $values -}}
{{- fail "sipgateway-switch must be among the dependencies in Chart.yaml, under this name (no alias)" -}}
{{- end -}}
{{- toYaml $values -}}
{{- end -}}

{{- define "sipgateway-switch.image" -}}
{{- $image := (include "sipgateway-switch.values" . | fromYaml).image -}}
{{- if $image.digest -}}
{{- $image.repository }}@{{ $image.digest -}}
{{- else -}}
{{- $image.repository }}:{{ $image.tag | default (index .Subcharts "sipgateway-switch").Chart.AppVersion -}}
{{- end -}}
{{- end -}}

{{- /* Name of the pods' ServiceAccount. */ -}}
{{- define "sipgateway-switch.serviceAccountName" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
{{- $values.serviceAccount.name | default (printf "sipgateway-%s-agent" $values.switch) -}}
{{- end -}}

{{- /* The label by which a pod belongs to its fleet. */ -}}
{{- define "sipgateway-switch.podLabels" -}}
sipgateway.dev/switch: {{ (include "sipgateway-switch.values" . | fromYaml).switch | quote }}
{{- end -}}

{{- /* Labels of the objects that go with a fleet. ConfigMaps must not carry sipgateway.dev/switch: that is the operator's. */ -}}
{{- define "sipgateway-switch.labels" -}}
app.kubernetes.io/name: sipgateway
app.kubernetes.io/component: agent
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with (include "sipgateway-switch.values" . | fromYaml).commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
