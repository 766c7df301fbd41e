{{- /*
The pod of a role. Takes: root, role, args, env, secrets (keys of the Secret), port and probe (path of
a server's health) or none, beats (asked by a command), resources, tolerations, once.
*/ -}}
{{- define "fleetline.pod" -}}
{{- $v := .root.Values -}}
metadata:
  labels:
    {{- include "fleetline.labels" . | nindent 4 }}
  {{- with $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  # Variables of the cluster's services have names that settings have too.
  enableServiceLinks: false
  {{- with $v.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat $v.tolerations (.tolerations | default list) }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .once }}
  restartPolicy: Never
  {{- else }}
  # The time before the stop, the drain itself, and a little for the interpreter's end.
  terminationGracePeriodSeconds: {{ add $v.drainTimeoutS 15 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "fleetline.selector" (dict "root" .root "role" .role) | nindent 10 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: {{ .role }}
      image: {{ include "fleetline.image" . }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      env:
        {{- include "fleetline.env" . | trim | nindent 8 }}
      {{- if not .once }}
      ports:
        {{- if .port }}
        - { name: http, containerPort: {{ .port }} }
        {{- end }}
        {{- if .metrics }}
        - { name: metrics, containerPort: {{ .metrics }} }
        {{- end }}
      {{- if .port }}
      startupProbe:
        httpGet: { path: {{ .live }}, port: http }
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: {{ .live }}, port: http }
        # Longer than any rush: a pod that is only busy must not be taken away.
        periodSeconds: 10
        timeoutSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: {{ .ready }}, port: http }
        periodSeconds: 5
        timeoutSeconds: 2
      # Until everybody knows that this pod is going, requests still come.
      lifecycle:
        preStop:
          sleep: { seconds: 5 }
      {{- else }}
      startupProbe:
        exec: { command: [python, -m, deploy.container.health, {{ .role }}, --live] }
        periodSeconds: 5
        timeoutSeconds: 10
        failureThreshold: 24
      livenessProbe:
        exec: { command: [python, -m, deploy.container.health, {{ .role }}, --live] }
        periodSeconds: 30
        timeoutSeconds: 10
        failureThreshold: 3
      readinessProbe:
        exec: { command: [python, -m, deploy.container.health, {{ .role }}] }
        periodSeconds: 30
        timeoutSeconds: 10
      {{- end }}
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if .secrets }}
        - { name: secrets, mountPath: /run/secrets/fleetline, readOnly: true }
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: { medium: Memory, sizeLimit: 128Mi }
    {{- if .secrets }}
    - name: secrets
      secret:
        secretName: {{ $v.existingSecret }}
        defaultMode: 0440
        items:
          {{- range .secrets }}
          - { key: {{ . }}, path: {{ . | replace "-" "_" }} }
          {{- end }}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* A Deployment of such pods. Takes also: name, replicas (none: an autoscaler counts). */ -}}
{{- define "fleetline.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "fleetline.name" .root }}-{{ .role }}
  labels:
    {{- include "fleetline.labels" . | nindent 4 }}
spec:
  {{- if .replicas }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  # The new one is ready before the old one goes.
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels:
      {{- include "fleetline.selector" . | nindent 6 }}
  template:
    {{- include "fleetline.pod" . | nindent 4 }}
{{- end }}
