{{/* Settings as environment variables: every name once, sorted. Takes (dict "root" "service" "of" "role" "extra"). */}}
{{- define "chuangwen.environment" -}}
{{- $v := .root.Values -}}
{{- $name := include "chuangwen.name" .root -}}
{{- $env := dict
  "NAMESPACE" $v.settings.namespace
  "LOG_LEVEL" $v.settings.logLevel
  "STORE_DRIVER" $v.settings.storeDriver
  "TRUSTED_PROXIES" (join "," $v.settings.trustedProxies)
  "HTTP_HOST" "0.0.0.0"
  "HTTP_PORT" "8080"
  "METRICS_PORT" "9090"
  "AUTH_JWKS" $v.auth.jwks
  "AUTH_ISSUER" $v.auth.issuer
  "AUTH_AUDIENCE" $v.auth.audience
  "DISTRICT" (ternary "/etc/chuangwen/district" "/app/deploy/sample/hengyang" (ne $v.district.configMap ""))
  "PORTAL_URL" $v.portalUrl
  "SECRETS_DIR" "/run/secrets/chuangwen"
  "KAFKA_BOOTSTRAP_SERVERS" $v.kafka.bootstrapServers
  "KAFKA_REPLICAS" (toString $v.kafka.replicas)
  "KAFKA_SESSION_TIMEOUT" (toString $v.kafka.sessionTimeoutSeconds)
  "KAFKA_SECURITY_PROTOCOL" $v.kafka.securityProtocol
  "KAFKA_CREATE_TOPICS" (toString (eq $v.kafka.topics "job"))
  "MONGODB_POOL" (toString $v.mongodb.poolSize)
-}}
{{- if contains "SASL" $v.kafka.securityProtocol }}{{ $_ := set $env "KAFKA_SASL_MECHANISM" $v.kafka.saslMechanism }}{{ end -}}
{{- if eq (include "chuangwen.strimziUser" .) "true" }}{{ $_ := set $env "KAFKA_USERNAME" (printf "%s-%s" $name .service) }}{{ end -}}
{{- with $v.kafka.tokenUrl }}{{ $_ := set $env "KAFKA_TOKEN_URL" . }}{{ end -}}
{{- range $variable, $file := dict
  "KAFKA_CA_FILE" $v.kafka.caFile
  "KAFKA_CERTIFICATE_FILE" $v.kafka.certificateFile
  "KAFKA_KEY_FILE" $v.kafka.keyFile
  "MONGODB_CA_FILE" $v.mongodb.caFile
  "MONGODB_CERTIFICATE_FILE" $v.mongodb.certificateFile
-}}
{{- with $file }}{{ $_ := set $env $variable (printf "/etc/chuangwen/certificates/%s" .) }}{{ end -}}
{{- end -}}
{{- with $v.mongodb.uri }}{{ $_ := set $env "MONGODB_URI" . }}{{ end -}}
{{- if $v.telemetry.otlpEndpoint -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" $v.telemetry.otlpEndpoint -}}
{{- $_ := set $env "OTEL_SERVICE_NAME" (printf "chuangwen-%s" .service) -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER" "parentbased_traceidratio" -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER_ARG" (toString $v.telemetry.sampleRatio) -}}
{{- end -}}
{{- range .of.calls }}{{ $_ := set $env (printf "%s_URL" (upper .)) (printf "http://%s-%s:8080" $name .) }}{{ end -}}
{{- $env = merge (deepCopy (.extra | default dict)) (deepCopy (.of.env | default dict)) $env -}}
{{- range $variable, $value := $env }}
- name: {{ $variable }}
  value: {{ toString $value | quote }}
{{- end -}}
{{- end -}}

{{/* Whether a pod takes its Kafka password from the Secret that Strimzi makes for its KafkaUser. A migration does not:
     it makes no topics then, and on the first installation it runs before that Secret is there. */}}
{{- define "chuangwen.strimziUser" -}}
{{- with .root.Values.kafka -}}
{{- and (eq .topics "strimzi") .strimzi.users (contains "SASL" .securityProtocol) (ne $.role "migration") -}}
{{- end -}}
{{- end -}}

{{- define "chuangwen.secrets" -}}
{{- $secrets := .of.secrets | default list -}}
{{- if eq (include "chuangwen.strimziUser" .) "true" -}}
{{- $user := printf "%s-%s" (include "chuangwen.name" .root) .service -}}
{{- $secrets = append $secrets (dict "name" $user "items" (dict "password" "kafka_password")) -}}
{{- end -}}
{{- toJson $secrets -}}
{{- end -}}

{{- define "chuangwen.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- with include "chuangwen.secrets" . | fromJsonArray }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- include "chuangwen.sources" . | nindent 6 }}
{{- end }}
{{- with .root.Values.certificates }}
- name: certificates
  projected:
    defaultMode: 0440
    sources:
      {{- include "chuangwen.sources" . | nindent 6 }}
{{- end }}
{{- with .root.Values.district.configMap }}
- name: district
  configMap:
    name: {{ . }}
{{- end }}
{{- end -}}

{{- define "chuangwen.sources" -}}
{{- range . }}
- secret:
    name: {{ .name }}
    {{- with .items }}
    items:
      {{- range $key, $path := . }}
      - {key: {{ $key | quote }}, path: {{ $path | quote }}}
      {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "chuangwen.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "chuangwen.secrets" . | fromJsonArray }}
- {name: secrets, mountPath: /run/secrets/chuangwen, readOnly: true}
{{- end }}
{{- if .root.Values.certificates }}
- {name: certificates, mountPath: /etc/chuangwen/certificates, readOnly: true}
{{- end }}
{{- if .root.Values.district.configMap }}
- {name: district, mountPath: /etc/chuangwen/district, readOnly: true}
{{- end }}
{{- end -}}

{{/* What every pod of ours is allowed: nothing (Pod Security Standard "restricted"). */}}
{{- define "chuangwen.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "chuangwen.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}
