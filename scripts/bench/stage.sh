# Sourced: sets a server with an incident at $URL, and TOKEN, STAFF, INCIDENT, QUEUE for the measurements.
call() { curl -sS -f -H 'Content-Type: application/json' -H 'If-Match: *' -H "Authorization: Bearer ${AUTH:-}" "$@"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
first_id() { sed -n 's/^{"id":"\([^"]*\)".*/\1/p'; }
login() { call "$URL/v1/auth/login" -d "{\"email\":\"$1\",\"password\":\"correct horse battery\"}" | field access_token; }

stage() {
    AUTH=$(login operator@bench.example)
    STAFF=$AUTH
    call "$URL/v1/regions" -d '{"slug":"north-america","name":"North America"}' >/dev/null
    call "$URL/v1/services" -d '{"slug":"exchange-online","name":"Exchange Online"}' >/dev/null
    local tenant agent rules
    tenant=$(call "$URL/v1/tenants" -d '{"name":"Contoso","regions":["north-america"],"services":["exchange-online"]}' | first_id)
    call "$URL/v1/users" -d "{\"email\":\"bob@contoso.example\",\"name\":\"Bob\",\"role\":\"tenant_admin\",\"tenant_id\":\"$tenant\",\"password\":\"correct horse battery\"}" >/dev/null
    agent=$(call "$URL/v1/users" -d '{"email":"ada@bench.example","name":"Ada","role":"agent","password":"correct horse battery"}' | first_id)
    QUEUE=$(call "$URL/v1/queues" -d "{\"name\":\"Messaging\",\"always_on\":true,\"shifts\":[{\"name\":\"always\",\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"],\"start\":\"00:00\",\"end\":\"00:00\",\"time_zone\":\"UTC\",\"members\":[\"$agent\"]}]}" | first_id)
    rules="{\"rules\":[{\"name\":\"all\",\"when\":{},\"queue_id\":\"$QUEUE\"}]}"
    call -X PUT "$URL/v1/routing-rules" -d "$rules" >/dev/null
    INCIDENT=$(call "$URL/v1/incidents" -d '{"title":"Mail","impact":"degradation","services":["exchange-online"],"regions":["north-america"],"body":"We look."}' | first_id)
    TOKEN=$(login bob@contoso.example)
    export AUTH TOKEN STAFF INCIDENT QUEUE
}
