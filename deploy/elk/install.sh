#!/usr/bin/env bash
# Puts the life cycle and the template into Elasticsearch, and the view and dashboards into Kibana. Can be run again.
#   ELASTICSEARCH=https://localhost:9200 KIBANA=https://localhost:5601 API_KEY=… deploy/elk/install.sh
set -euo pipefail
cd "$(dirname "$0")"
: "${ELASTICSEARCH:?Elasticsearch\'s address}" "${KIBANA:?Kibana\'s address}" "${API_KEY:?an API key for both}"
ask() { curl --fail-with-body --silent --show-error -H "Authorization: ApiKey $API_KEY" "$@" && echo; }

json=(-H "Content-Type: application/json")
ask -X PUT "${json[@]}" "$ELASTICSEARCH/_ilm/policy/easel-logs" --data-binary @elasticsearch/life-cycle.json
ask -X PUT "${json[@]}" "$ELASTICSEARCH/_index_template/easel-logs" --data-binary @elasticsearch/index-template.json
ask -X POST -H "kbn-xsrf: easel" "$KIBANA/api/saved_objects/_import?overwrite=true" --form file=@kibana/easel.ndjson
