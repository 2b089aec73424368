{{- /* An ordinary pod of FreeSWITCH: nothing in it speaks of sipgateway but the includes in its configuration. */ -}}
{{- define "freeswitch-example.podTemplate" -}}
{{- $esl := (index .Values "sipgateway-switch").esl -}}
metadata:
  labels:
    {{- include "freeswitch-example.labels" . | nindent 4 }}
  annotations:
    # A changed configuration rolls the pods.
    checksum/config: {{ include "freeswitch-example.config" . | sha256sum }}
spec:
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65533
    runAsGroup: 65533
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: freeswitch
      {{- if .Values.simulator.enabled }}
      image: {{ include "sipgateway-switch.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - simulator
        - --conf=/etc/freeswitch
        - {{ printf "--esl=%s" $esl.address | quote }}
        - --password-file=/run/secrets/esl/password
        - --log=/var/log/freeswitch
        {{- range .Values.simulator.registrars }}
        - {{ printf "--registrar=%s" . | quote }}
        {{- end }}
      {{- else }}
      image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [freeswitch]
      # In the foreground, with its log on standard output. Given one of the folders, FreeSWITCH wants all of them.
      args:
        - -c
        - -nonat
        - -conf
        - /etc/freeswitch
        - -log
        - /var/log/freeswitch
        - -db
        - /var/lib/freeswitch/db
        - -run
        - /run/freeswitch
      env:
        - name: ESL_PASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ $esl.passwordSecret.name }}
              key: {{ $esl.passwordSecret.key }}
      {{- end }}
      ports:
        - name: sip
          containerPort: {{ int .Values.sip.port }}
          protocol: UDP
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        readOnlyRootFilesystem: true
        allowPrivilegeEscalation: false
        capabilities:
          drop:
            - ALL
      volumeMounts:
        - name: config
          mountPath: /etc/freeswitch
          readOnly: true
        {{- if .Values.simulator.enabled }}
        - name: esl
          mountPath: /run/secrets/esl
          readOnly: true
        {{- else }}
        - name: state
          mountPath: /var/lib/freeswitch
        - name: run
          mountPath: /run/freeswitch
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "freeswitch-example.fullname" . }}
    {{- if .Values.simulator.enabled }}
    - name: esl
      secret:
        secretName: {{ $esl.passwordSecret.name }}
        items:
          - key: {{ $esl.passwordSecret.key }}
            path: password
    {{- else }}
    - name: state
      emptyDir: {}
    - name: run
      emptyDir: {}
    {{- end }}
{{- end -}}
