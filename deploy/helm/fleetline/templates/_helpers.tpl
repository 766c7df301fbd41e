{{- define "fleetline.name" -}}
{{- if contains "fleetline" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-fleetline" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "fleetline.selector" -}}
app.kubernetes.io/name: fleetline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "fleetline.labels" -}}
{{ include "fleetline.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- /* The image of a role: its own tag, where it is kept at a release of before. */ -}}
{{- define "fleetline.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := (index .root.Values .role).tag -}}
{{- if $own -}}
{{ $image.repository }}:{{ $own }}
{{- else if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* The host of a role behind its Service. In full: nginx knows no search list. */ -}}
{{- define "fleetline.host" -}}
{{ include "fleetline.name" .root }}-{{ .role }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{- /* Settings of a role: those that all have, its own, then what the values say. */ -}}
{{- define "fleetline.env" -}}
{{- $env := dict "SHARDS" (toString .root.Values.shards) "DRAIN_TIMEOUT_S" (toString .root.Values.drainTimeoutS) -}}
{{- if not .root.Values.insight.enabled }}{{ $_ := set $env "INSIGHT" "off" }}{{ end -}}
{{- if not .root.Values.places.enabled }}{{ $_ := set $env "PLACES" "off" }}{{ end -}}
{{- if not .root.Values.hooks.enabled }}{{ $_ := set $env "WEBHOOKS" "off" }}{{ end -}}
{{- if not .root.Values.arrivals.enabled }}{{ $_ := set $env "ARRIVALS" "off" }}{{ end -}}
{{- if not .root.Values.planner.enabled }}{{ $_ := set $env "PLANS" "off" }}{{ end -}}
{{- if .root.Values.publicUrl }}{{ $_ := set $env "PUBLIC_URL" .root.Values.publicUrl }}{{ end -}}
{{- $env = mergeOverwrite $env (deepCopy .root.Values.settings) (.env | default dict) -}}
{{- /* All numbers of values are floats, and a million of those is written 1e+06. */}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  {{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
  value: {{ int64 $value | quote }}
  {{- else }}
  value: {{ toString $value | quote }}
  {{- end }}
{{- end }}
{{- range .secrets }}
- name: {{ . | replace "-" "_" | upper }}_FILE
  value: /run/secrets/fleetline/{{ . | replace "-" "_" }}
{{- end }}
{{- end }}
