{{- /*
What makes a FreeSWITCH pod a switch pod: the agent's container and what goes with it. Each part for itself, and
`sipgateway-switch.podTemplate`, which puts all of them into a pod template. The policy that injects the agent
(sipgateway-operator, templates/injection.yaml) is made of the same parts.
*/ -}}

{{- /*
The pod template that the named template gives, with the agent:

    template:
      {{- include "sipgateway-switch.podTemplate" (dict "context" . "template" "my-chart.podTemplate") | nindent 6 }}

A pod that has the agent already is left as it is. What the pod says itself stays: its ServiceAccount, fsGroup, preStop,
a mount at the log folder.
*/ -}}
{{- define "sipgateway-switch.podTemplate" -}}
{{- $context := .context -}}
{{- $values := include "sipgateway-switch.values" $context | fromYaml -}}
{{- $template := include .template $context | fromYaml -}}
{{- if $template.Error -}}
{{- fail (printf "%s is no YAML: %s" .template $template.Error) -}}
{{- end -}}
{{- $metadata := $template.metadata | default dict -}}
{{- $labels := merge (include "sipgateway-switch.podLabels" $context | fromYaml) ($metadata.labels | default dict) -}}
{{- $_ := set $metadata "labels" $labels -}}
{{- $_ := set $template "metadata" $metadata -}}
{{- $pod := $template.spec -}}
{{- $present := false -}}
{{- range $pod.initContainers -}}
{{- if eq .name "sipgateway-agent" }}{{ $present = true }}{{ end -}}
{{- end -}}
{{- if not $present -}}
{{- if not $pod.serviceAccountName -}}
{{- $_ := set $pod "serviceAccountName" (include "sipgateway-switch.serviceAccountName" $context) -}}
{{- end -}}
{{- if not (hasKey $pod "automountServiceAccountToken") -}}
{{- $_ := set $pod "automountServiceAccountToken" false -}}
{{- end -}}
{{- $security := $pod.securityContext | default dict -}}
{{- if not (hasKey $security "fsGroup") -}}
{{- $_ := set $security "fsGroup" (int $values.fsGroup) -}}
{{- end -}}
{{- $_ := set $pod "securityContext" $security -}}
{{- $agent := include "sipgateway-switch.container" $context | fromYaml -}}
{{- $_ := set $pod "initContainers" (prepend ($pod.initContainers | default list) $agent) -}}
{{- $volumes := concat ($pod.volumes | default list) (include "sipgateway-switch.volumes" $context | fromYamlArray) -}}
{{- $wanted := $values.switchContainer | default (first $pod.containers).name -}}
{{- $found := false -}}
{{- range $container := $pod.containers -}}
{{- if eq $container.name $wanted -}}
{{- $found = true -}}
{{- $mounts := concat ($container.volumeMounts | default list) (include "sipgateway-switch.mounts" $context | fromYamlArray) -}}
{{- $elsewhere := false -}}
{{- range $container.volumeMounts -}}
{{- if eq .mountPath $values.logFolder.path }}{{ $elsewhere = true }}{{ end -}}
{{- end -}}
{{- if and $values.logFolder.private (not $elsewhere) -}}
{{- $mounts = concat $mounts (include "sipgateway-switch.logMounts" $context | fromYamlArray) -}}
{{- $volumes = concat $volumes (include "sipgateway-switch.logVolumes" $context | fromYamlArray) -}}
{{- end -}}
{{- $_ := set $container "volumeMounts" $mounts -}}
{{- $lifecycle := $container.lifecycle | default dict -}}
{{- if and $values.drain (not $lifecycle.preStop) -}}
{{- $_ := set $lifecycle "preStop" (include "sipgateway-switch.preStop" $context | fromYaml) -}}
{{- $_ := set $container "lifecycle" $lifecycle -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- fail (printf "sipgateway-switch.switchContainer: the pod has no container %s" $wanted) -}}
{{- end -}}
{{- $_ := set $pod "volumes" $volumes -}}
{{- end -}}
{{- toYaml $template -}}
{{- end -}}

{{- /*
The agent's container, for the first place of `initContainers`. As a native sidecar it starts before the switch, which
waits for its startup probe and so boots with everything, and ends after the switch. The fleet is the pod's label.
*/ -}}
{{- define "sipgateway-switch.container" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
name: sipgateway-agent
image: {{ include "sipgateway-switch.image" . }}
imagePullPolicy: {{ $values.image.pullPolicy }}
restartPolicy: Always
args:
  - agent
  - --switch=$(SIPGATEWAY_SWITCH)
  - --conf={{ $values.conf.path }}
  {{- with $values.conf.profilePath }}
  - {{ printf "--profile-path=%s" . | quote }}
  {{- end }}
  {{- with $values.conf.directoryPath }}
  - {{ printf "--directory-path=%s" . | quote }}
  {{- end }}
  - {{ printf "--esl=%s" $values.esl.address | quote }}
  {{- if $values.esl.passwordSecret.name }}
  - --esl-password-file=/run/secrets/sipgateway/esl/password
  {{- end }}
  - {{ printf "--listen=%s:%d" $values.bindAddress (int $values.port) | quote }}
  - --boot-timeout={{ int $values.bootTimeoutSeconds }}
  - --register-rate={{ int $values.registerRate }}
  - --log-level={{ $values.logLevel }}
env:
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.namespace
  - name: POD_NAME
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.name
  - name: POD_UID
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.uid
  - name: SIPGATEWAY_SWITCH
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.labels['sipgateway.dev/switch']
ports:
  - name: sipgw-agent
    containerPort: {{ int $values.port }}
    protocol: TCP
startupProbe:
  httpGet:
    path: /startedz
    port: sipgw-agent
  periodSeconds: 1
  failureThreshold: {{ add (int $values.bootTimeoutSeconds) 60 }}
livenessProbe:
  httpGet:
    path: /healthz
    port: sipgw-agent
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: sipgw-agent
  periodSeconds: 5
  timeoutSeconds: 5
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop:
      - ALL
  seccompProfile:
    type: RuntimeDefault
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: sipgateway
    mountPath: {{ $values.conf.path }}
  - name: sipgateway-token
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- if $values.esl.passwordSecret.name }}
  - name: sipgateway-esl
    mountPath: /run/secrets/sipgateway/esl
    readOnly: true
  {{- end }}
{{- end -}}

{{- /*
The pod's volumes: the gateway files, which hold passwords and so stay in memory; a token that is bound to the pod and
that only the agent's container mounts; the event socket's password.
*/ -}}
{{- define "sipgateway-switch.volumes" -}}
{{- $values := include "sipgateway-switch.values" . | fromYaml -}}
- name: sipgateway
  emptyDir:
    medium: Memory
    sizeLimit: {{ $values.conf.sizeLimit }}
- name: sipgateway-token
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: {{ int $values.tokenSeconds }}
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                apiVersion: v1
                fieldPath: metadata.namespace
{{- with $values.esl.passwordSecret }}
{{- if .name }}
- name: sipgateway-esl
  secret:
    secretName: {{ .name }}
    defaultMode: 288
    items:
      - key: {{ .key }}
        path: password
{{- end }}
{{- end }}
{{- end -}}

{{- /* What the switch's container mounts of them. It reads, it never writes. */ -}}
{{- define "sipgateway-switch.mounts" -}}
- name: sipgateway
  mountPath: {{ (include "sipgateway-switch.values" . | fromYaml).conf.path }}
  readOnly: true
{{- end -}}

{{- /* The switch's log folder: freeswitch.xml.fsxml in it holds every password. */ -}}
{{- define "sipgateway-switch.logVolumes" -}}
- name: sipgateway-switch-log
  emptyDir:
    medium: Memory
    sizeLimit: {{ (include "sipgateway-switch.values" . | fromYaml).logFolder.sizeLimit }}
{{- end -}}

{{- define "sipgateway-switch.logMounts" -}}
- name: sipgateway-switch-log
  mountPath: {{ (include "sipgateway-switch.values" . | fromYaml).logFolder.path }}
{{- end -}}

{{- /* The switch's container calls this before it ends; nothing happens unless the pod is being deleted. */ -}}
{{- define "sipgateway-switch.preStop" -}}
httpGet:
  path: /drain
  port: {{ int (include "sipgateway-switch.values" . | fromYaml).port }}
  scheme: HTTP
{{- end -}}
