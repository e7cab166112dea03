{{- define "chuangwen.name" -}}
{{- .Values.nameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select: they never change, for a Deployment's selector cannot. Takes (dict "root" $ "service" "role"). */}}
{{- define "chuangwen.selector" -}}
app.kubernetes.io/name: chuangwen
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .service }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .role }}
chuangwen/role: {{ . }}
{{- end }}
{{- end -}}

{{- define "chuangwen.labels" -}}
{{ include "chuangwen.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: chuangwen
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "chuangwen.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every workload as one YAML list of {service, role, name, settings, of}: `settings` are the role's, with defaults. */}}
{{- define "chuangwen.workloads" -}}
{{- range $service, $of := .Values.services -}}
{{- range $role := list "api" "worker" -}}
{{- $settings := merge (deepCopy (get $of $role | default dict)) (deepCopy (get $.Values.defaults $role)) -}}
{{- if $settings.enabled }}
- {{ dict "service" $service "role" $role "name" (printf "%s-%s-%s" (include "chuangwen.name" $) $service $role) "settings" $settings "of" $of | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "chuangwen.ceiling" -}}
{{- if eq .root.Values.autoscaling.mode "none" -}}{{ .settings.replicas }}{{- else -}}{{ .settings.maxReplicas }}{{- end -}}
{{- end -}}

{{- define "chuangwen.floor" -}}
{{- if eq .root.Values.autoscaling.mode "none" -}}{{ .settings.replicas }}{{- else -}}{{ .settings.minReplicas }}{{- end -}}
{{- end -}}
