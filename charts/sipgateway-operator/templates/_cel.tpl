{{- /*
A value as CEL, for the policy that injects the agent. In: (dict "type" "Object.spec.volumes" "value" VALUE). The items
of a list have the list's type. Quantities are plain maps: their keys are no fields.
*/ -}}
{{- define "sipgateway-operator.cel" -}}
{{- $type := .type -}}
{{- $parts := list -}}
{{- if kindIs "map" .value -}}
{{- $plain := or (hasSuffix ".limits" $type) (hasSuffix ".requests" $type) -}}
{{- range $key, $value := .value -}}
{{- $cel := include "sipgateway-operator.cel" (dict "type" (printf "%s.%s" $type $key) "value" $value) -}}
{{- $parts = append $parts (printf "%s: %s" (ternary (toJson $key) $key $plain) $cel) -}}
{{- end -}}
{{- if not $plain }}{{ $type }}{{ end -}}
{{ "{" }}{{ printf "\n%s" (join ",\n" $parts) | replace "\n" "\n  " }}
{{ "}" }}
{{- else if kindIs "slice" .value -}}
{{- range .value -}}
{{- $parts = append $parts (include "sipgateway-operator.cel" (dict "type" $type "value" .)) -}}
{{- end -}}
[{{ join ", " $parts }}]
{{- else -}}
{{- toJson .value -}}
{{- end -}}
{{- end -}}
