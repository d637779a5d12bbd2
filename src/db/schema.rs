//! The tables, once for both engines; a test compares them with what the migrations make.
#![allow(missing_docs, reason = "the columns are described in migrations/")]
#![allow(unused_imports, reason = "every table names the same types")]

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    tenants (id) {
        id -> Uuid,
        name -> Text,
        plan -> Text,
        locale -> Text,
        time_zone -> Text,
        disabled -> Bool,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    people (id) {
        id -> Uuid,
        email -> Text,
        name -> Text,
        password_hash -> Nullable<Text>,
        locale -> Text,
        time_zone -> Text,
        disabled -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
        confirmed -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    memberships (tenant_id, person_id) {
        tenant_id -> Uuid,
        person_id -> Uuid,
        role -> Text,
        created_at -> Instant,
        disabled -> Bool,
        accepted -> Bool,
        version -> Integer,
        updated_at -> Instant,
        federated -> Bool,
        by_password -> Bool,
        invited_as -> Nullable<Jsonb>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    suppressions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        address -> Text,
        said -> Text,
        delivery_id -> Uuid,
        at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    tenant_contacts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        email -> Text,
        name -> Text,
        locale -> Text,
        time_zone -> Text,
        opened -> Bool,
        updated -> Bool,
        ended -> Bool,
        reported -> Bool,
        digest -> Bool,
        digest_due_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    signing_keys (id) {
        id -> Text,
        sealed -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    idempotency_keys (tenant_id, person_id, method, path, key) {
        tenant_id -> Uuid,
        person_id -> Uuid,
        method -> Text,
        path -> Text,
        key -> Text,
        digest -> Text,
        status -> Integer,
        location -> Nullable<Text>,
        etag -> Nullable<Text>,
        body -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    services (slug) {
        slug -> Text,
        name -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    regions (slug) {
        slug -> Text,
        name -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    tenant_services (tenant_id, service) {
        tenant_id -> Uuid,
        service -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    tenant_regions (tenant_id, region) {
        tenant_id -> Uuid,
        region -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    events (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_kind -> Text,
        subject_id -> Uuid,
        seq -> Integer,
        kind -> Text,
        at -> Instant,
        actor_side -> Text,
        actor_id -> Nullable<Uuid>,
        actor_name -> Text,
        internal -> Bool,
        data -> Jsonb,
        address -> Text,
        salt -> Nullable<Text>,
        digest -> Text,
        chain_seq -> Nullable<BigInt>,
        chain_hash -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    audit_heads (tenant_id) {
        tenant_id -> Uuid,
        chain_seq -> BigInt,
        chain_hash -> Text,
        seal -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    unread_events (tenant_id, reader, event_id) {
        tenant_id -> Uuid,
        reader -> Text,
        event_id -> Uuid,
        subject_id -> Uuid,
        seq -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    broadcasts (id) {
        id -> Uuid,
        incident_id -> Uuid,
        kind -> Text,
        seq -> Integer,
        state -> Text,
        phase -> Text,
        after_tenant -> Nullable<Uuid>,
        after_key -> Text,
        audience -> Integer,
        created_at -> Instant,
        finished_at -> Nullable<Instant>,
        leaves_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    deliveries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        event_id -> Uuid,
        kind -> Text,
        incident_id -> Nullable<Uuid>,
        request_id -> Nullable<Uuid>,
        recipient -> Text,
        name -> Text,
        locale -> Text,
        time_zone -> Text,
        state -> Text,
        priority -> SmallInt,
        attempts -> Integer,
        next_attempt_at -> Instant,
        lease_owner -> Nullable<Uuid>,
        lease_until -> Nullable<Instant>,
        error -> Nullable<Text>,
        created_at -> Instant,
        sent_at -> Nullable<Instant>,
        reason -> Nullable<Text>,
        delays -> Integer,
        carried_by -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    told (tenant_id, incident_id, recipient) {
        tenant_id -> Uuid,
        incident_id -> Uuid,
        recipient -> Text,
        name -> Text,
        locale -> Text,
        time_zone -> Text,
        at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    queues (id) {
        id -> Uuid,
        name -> Text,
        name_folded -> Text,
        always_on -> Bool,
        restricted -> Bool,
        fallback_queue_id -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
        minimum -> Integer,
        ladder -> Jsonb,
        push -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    agents (person_id) {
        person_id -> Uuid,
        presence -> Text,
        capacity -> Nullable<Integer>,
        version -> Integer,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    agent_skills (person_id, kind, name) {
        person_id -> Uuid,
        kind -> Text,
        name -> Text,
        level -> SmallInt,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    shifts (id) {
        id -> Uuid,
        queue_id -> Uuid,
        name -> Text,
        days -> Text,
        starts_at -> Text,
        ends_at -> Text,
        time_zone -> Text,
        valid_from -> Nullable<Text>,
        valid_until -> Nullable<Text>,
        rotation_weeks -> Nullable<Integer>,
        rotation_from -> Nullable<Text>,
        rotation_teams -> Nullable<Integer>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    shift_members (shift_id, turn, person_id) {
        shift_id -> Uuid,
        person_id -> Uuid,
        turn -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    routing_rule_sets (version) {
        version -> Integer,
        rules -> Jsonb,
        author_id -> Uuid,
        created_at -> Instant,
        size -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    incidents (id) {
        id -> Uuid,
        title -> Text,
        impact -> Text,
        status -> Text,
        standing -> SmallInt,
        started_at -> Instant,
        resolved_at -> Nullable<Instant>,
        follows -> Nullable<Uuid>,
        duplicate_of -> Nullable<Uuid>,
        next_update_by -> Nullable<Instant>,
        last_seq -> Integer,
        resolution -> Integer,
        cascade_state -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    incident_services (incident_id, service) {
        incident_id -> Uuid,
        service -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    incident_regions (incident_id, region) {
        incident_id -> Uuid,
        region -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    incident_updates (incident_id, seq) {
        incident_id -> Uuid,
        seq -> Integer,
        at -> Instant,
        status -> Text,
        body -> Text,
        author_id -> Uuid,
        next_update_by -> Nullable<Instant>,
        corrects -> Nullable<Integer>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    service_requests (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        reference -> Text,
        revision -> Integer,
        version -> Integer,
        status -> Text,
        is_open -> Bool,
        resolution_cause -> Nullable<Text>,
        hold_reason -> Nullable<Text>,
        incident_id -> Nullable<Uuid>,
        incident_resolution -> Nullable<Integer>,
        pinned -> Bool,
        detached -> Bool,
        service -> Text,
        region -> Text,
        severity -> Text,
        subject -> Text,
        description -> Text,
        channel -> Text,
        requester_id -> Uuid,
        contact -> Jsonb,
        tags -> Jsonb,
        queue_id -> Uuid,
        assignee_id -> Nullable<Uuid>,
        follow_up_of -> Nullable<Uuid>,
        resolved_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        requester_name -> Text,
        needs -> Jsonb,
        assigned_off_duty -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    waiting_requests (tenant_id, request_id) {
        tenant_id -> Uuid,
        request_id -> Uuid,
        queue_id -> Uuid,
        urgent_at -> Instant,
        severity -> Text,
        standing -> SmallInt,
        since -> Instant,
        needs -> Text,
        home_queue_id -> Uuid,
        home_since -> Instant,
        steps -> SmallInt,
        next_step_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    push_turns (queue_id, person_id) {
        queue_id -> Uuid,
        person_id -> Uuid,
        turns -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    request_comments (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        request_id -> Uuid,
        visibility -> Text,
        body -> Text,
        author_id -> Uuid,
        author_name -> Text,
        author_side -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    request_replies (tenant_id, request_id, sender, letter) {
        tenant_id -> Uuid,
        request_id -> Uuid,
        sender -> Text,
        letter -> Text,
        at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    request_watchers (tenant_id, request_id, email) {
        tenant_id -> Uuid,
        request_id -> Uuid,
        email -> Text,
        added_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    sessions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        person_id -> Uuid,
        address -> Text,
        agent -> Text,
        created_at -> Instant,
        last_used_at -> Instant,
        expires_at -> Instant,
        ended_at -> Nullable<Instant>,
        provider_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    refresh_tokens (tenant_id, session_id, digest) {
        tenant_id -> Uuid,
        session_id -> Uuid,
        digest -> Text,
        used_at -> Nullable<Instant>,
        expires_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    mailed_tokens (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        person_id -> Uuid,
        digest -> Text,
        created_at -> Instant,
        expires_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    second_factors (person_id) {
        person_id -> Uuid,
        sealed -> Text,
        confirmed_at -> Nullable<Instant>,
        last_step -> Integer,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    recovery_codes (person_id, digest) {
        person_id -> Uuid,
        digest -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    api_keys (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        digest -> Text,
        hint -> Text,
        scopes -> Jsonb,
        created_by -> Uuid,
        created_at -> Instant,
        expires_at -> Nullable<Instant>,
        last_used_at -> Nullable<Instant>,
        revoked_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    sign_in_attempts (subject) {
        subject -> Text,
        failures -> Integer,
        last_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    refusal_counts (network, kind, minute) {
        network -> Text,
        kind -> Text,
        minute -> Instant,
        count -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    identity_providers (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        issuer -> Text,
        client_id -> Text,
        sealed_secret -> Nullable<Text>,
        scopes -> Jsonb,
        audience -> Nullable<Text>,
        role_claim -> Text,
        roles -> Jsonb,
        domains -> Jsonb,
        disabled -> Bool,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    external_identities (tenant_id, provider_id, subject) {
        tenant_id -> Uuid,
        provider_id -> Uuid,
        subject -> Text,
        person_id -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    absences (id) {
        id -> Uuid,
        person_id -> Uuid,
        starts_at -> Instant,
        ends_at -> Instant,
        reason -> Nullable<Text>,
        author_id -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    roster_overrides (id) {
        id -> Uuid,
        queue_id -> Uuid,
        starts_at -> Instant,
        ends_at -> Instant,
        added_id -> Nullable<Uuid>,
        removed_id -> Nullable<Uuid>,
        author_id -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    coverage_waivers (id) {
        id -> Uuid,
        queue_id -> Uuid,
        ends_at -> Instant,
        reason -> Text,
        author_id -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    queue_findings (queue_id, kind) {
        queue_id -> Uuid,
        kind -> Text,
        since -> Instant,
        first_from -> Instant,
        first_to -> Instant,
        count -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    calendars (id) {
        id -> Uuid,
        name -> Text,
        name_folded -> Text,
        version -> Integer,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    calendar_editions (calendar_id, version) {
        calendar_id -> Uuid,
        version -> Integer,
        terms -> Integer,
        time_zone -> Text,
        hours -> Jsonb,
        holidays -> Jsonb,
        author_id -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    sla_policy_sets (version) {
        version -> Integer,
        terms -> Integer,
        policies -> Jsonb,
        author_id -> Uuid,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    sla_clocks (tenant_id, request_id, clock, cycle) {
        tenant_id -> Uuid,
        request_id -> Uuid,
        clock -> Text,
        cycle -> Integer,
        state -> Text,
        revision -> Integer,
        terms -> Integer,
        plan -> Text,
        severity -> Text,
        queue_id -> Uuid,
        target_minutes -> Nullable<Integer>,
        opened_at -> Instant,
        due_at -> Nullable<Instant>,
        next_at -> Nullable<Instant>,
        warned_at -> Nullable<Instant>,
        breached_at -> Nullable<Instant>,
        stopped_at -> Nullable<Instant>,
        elapsed -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    sla_intervals (tenant_id, request_id, clock, cycle, seq) {
        tenant_id -> Uuid,
        request_id -> Uuid,
        clock -> Text,
        cycle -> Integer,
        seq -> Integer,
        from_at -> Instant,
        until_at -> Nullable<Instant>,
        pace -> Text,
        cause -> Text,
        policy_version -> Integer,
        severity -> Text,
        target_minutes -> Nullable<Integer>,
        calendar_id -> Nullable<Uuid>,
        calendar_version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    promises (incident_id, seq) {
        incident_id -> Uuid,
        seq -> Integer,
        made_at -> Instant,
        due_at -> Instant,
        next_at -> Nullable<Instant>,
        warned_at -> Nullable<Instant>,
        missed_at -> Nullable<Instant>,
        kept_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    hand_overs (id) {
        id -> Uuid,
        queue_id -> Uuid,
        at -> Instant,
        leaves -> Jsonb,
        comes -> Jsonb,
        open_requests -> Integer,
        handed_over -> Integer,
        due_soon_count -> Integer,
        due_soon -> Jsonb,
        last_words -> Jsonb,
        acknowledged_by -> Nullable<Uuid>,
        acknowledged_name -> Nullable<Text>,
        acknowledged_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    last_words (id) {
        id -> Uuid,
        queue_id -> Uuid,
        author_id -> Uuid,
        author_name -> Text,
        body -> Text,
        at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    queue_watches (queue_id) {
        queue_id -> Uuid,
        seen_until -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    notification_preferences (tenant_id, person_id) {
        tenant_id -> Uuid,
        person_id -> Uuid,
        opened -> Bool,
        updated -> Bool,
        ended -> Bool,
        reported -> Bool,
        version -> Integer,
        updated_at -> Instant,
        digest -> Bool,
        digest_due_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    subscriptions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        person_id -> Uuid,
        incident_id -> Nullable<Uuid>,
        service -> Nullable<Text>,
        region -> Nullable<Text>,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    opt_outs (tenant_id, recipient, about) {
        tenant_id -> Uuid,
        recipient -> Text,
        about -> Uuid,
        extent -> Text,
        at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, SmallInt, Text};
    use super::super::columns::{Jsonb, Instant, Uuid};

    attachments (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        request_id -> Uuid,
        comment_id -> Nullable<Uuid>,
        state -> Text,
        name -> Text,
        media_type -> Text,
        size -> Integer,
        sha256 -> Text,
        at -> Instant,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    absences,
    agent_skills,
    agents,
    api_keys,
    attachments,
    audit_heads,
    broadcasts,
    calendar_editions,
    calendars,
    coverage_waivers,
    deliveries,
    events,
    external_identities,
    hand_overs,
    idempotency_keys,
    identity_providers,
    incident_regions,
    incident_services,
    incident_updates,
    incidents,
    last_words,
    mailed_tokens,
    memberships,
    notification_preferences,
    opt_outs,
    people,
    promises,
    push_turns,
    queue_findings,
    queue_watches,
    queues,
    recovery_codes,
    refresh_tokens,
    refusal_counts,
    regions,
    request_comments,
    request_replies,
    request_watchers,
    roster_overrides,
    routing_rule_sets,
    second_factors,
    service_requests,
    services,
    sessions,
    shift_members,
    shifts,
    sign_in_attempts,
    signing_keys,
    sla_clocks,
    sla_intervals,
    sla_policy_sets,
    subscriptions,
    suppressions,
    tenant_contacts,
    tenant_regions,
    tenant_services,
    tenants,
    told,
    unread_events,
    waiting_requests,
);
