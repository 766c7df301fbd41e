{{- /* One pod of a role at a time may be taken away by whoever empties a node. */ -}}
{{- define "fleetline.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "fleetline.name" .root }}-{{ .role }}
  labels:
    {{- include "fleetline.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not well anyway holds up nobody.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "fleetline.selector" . | nindent 6 }}
{{- end }}
