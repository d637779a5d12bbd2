//! What is in the archive of a tenant: the parts, each with its pages out of the store, and the words that explain it.
//!
//! Each part reads page by page, with the scope of the tenant, in the form that the API shows to its administrator.

use std::future::Future;
use std::pin::Pin;

use serde_json::json;

use super::archive::Lines;
use crate::audit;
use crate::audit::api::AuditView;
use crate::db::{AttachmentId, Connection, Db, Scope, TenantId};
use crate::identity::api_key::{self, ApiKeyView};
use crate::identity::{UserView, custody, store};
use crate::incidents;
use crate::mail::opt_outs::OptOutView;
use crate::mail::{self, DeliveryView};
use crate::notify::subscriptions;
use crate::problem::Problem;
use crate::requests;
use crate::requests::attachments::{Attachment, AttachmentView};

/// Items that are read at once.
const PAGE: i64 = 200;

type Written<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;

/// A file of the archive.
pub struct Part {
    /// Its name there.
    pub name: &'static str,
    /// What it has, for the page.
    what: &'static str,
    /// What a line of it is, in the document of the API.
    schema: &'static str,
    /// Writes it.
    pub write: for<'a> fn(&'a Db, Scope, TenantId, &'a mut Lines) -> Written<'a>,
}

/// Every file, in the order of the archive.
pub const PARTS: &[Part] = &[
    Part {
        name: "tenant.jsonl",
        what: "the organisation itself: regions, services, plan, and the contacts that get status mail; one line",
        schema: "TenantView",
        write: |db, scope, tenant, lines| Box::pin(tenants(db, scope, tenant, lines)),
    },
    Part {
        name: "users.jsonl",
        what: "its users, with role and standing",
        schema: "UserView",
        write: |db, scope, tenant, lines| Box::pin(users(db, scope, tenant, lines)),
    },
    Part {
        name: "sessions.jsonl",
        what: "who signed in when, from which address, with which program",
        schema: "SessionView",
        write: |db, scope, tenant, lines| Box::pin(sessions(db, scope, tenant, lines)),
    },
    Part {
        name: "api-keys.jsonl",
        what: "its API keys, without what they are",
        schema: "ApiKeyView",
        write: |db, scope, tenant, lines| Box::pin(keys(db, scope, tenant, lines)),
    },
    Part {
        name: "incidents.jsonl",
        what: "the incidents that concern it, with their public timelines; active ones first, then the newest",
        schema: "IncidentView",
        write: |db, scope, _, lines| Box::pin(incidents(db, scope, lines)),
    },
    Part {
        name: "service-requests.jsonl",
        what: "its service requests, each with its watchers, its public comments and its history",
        schema: "RequestView",
        write: |db, scope, tenant, lines| Box::pin(service_requests(db, scope, tenant, lines)),
    },
    Part {
        name: "attachments.jsonl",
        what: "the files that came with its comments; each is in the folder `attachments`, under its id",
        schema: "AttachmentView",
        write: |db, scope, tenant, lines| Box::pin(attachments(db, scope, tenant, lines)),
    },
    Part {
        name: "deliveries.jsonl",
        what: "the mail that was sent on its behalf: what, to whom, when, and what became of it",
        schema: "DeliveryView",
        write: |db, scope, tenant, lines| Box::pin(deliveries(db, scope, tenant, lines)),
    },
    Part {
        name: "notifications.jsonl",
        what: "what its people want to hear of",
        schema: "PreferencesView",
        write: |db, scope, tenant, lines| Box::pin(notifications(db, scope, tenant, lines)),
    },
    Part {
        name: "opt-outs.jsonl",
        what: "the addresses that want no more mail on its behalf, and of what",
        schema: "OptOutView",
        write: |db, scope, _, lines| Box::pin(opt_outs(db, scope, lines)),
    },
    Part {
        name: "audit.jsonl",
        what: "who did what, and when, with the seal of each entry; newest first",
        schema: "AuditView",
        write: |db, scope, tenant, lines| Box::pin(audit(db, scope, tenant, lines)),
    },
];

/// The page that explains the archive.
pub fn page() -> String {
    let mut page = String::from(
        "# What is in this archive\n\nEverything that Allclear keeps of one customer organisation, in the form in which its \
         API shows it to the\nadministrator; the fields are described in the API's own document (`/openapi.json`). Each \
         file has one JSON object a\nline, in UTF-8, oldest first where its row says nothing else; times are UTC (RFC 3339). \
         `manifest.json` has the\nnumber of lines, the bytes and the SHA-256 of each file.\n\n| file | what | schema \
         |\n|---|---|---|\n",
    );
    for Part {
        name, what, schema, ..
    } in PARTS
    {
        page.push_str(&format!("| `{name}` | {what} | `{schema}` |\n"));
    }
    page.push_str(
        "\nA line of `service-requests.jsonl` also has `comments` (`CommentView`) and `history` (`EventView`); a line of\n\
         `sessions.jsonl` and of `notifications.jsonl` also has `person_id`.\n\nNot in it: passwords, tokens and keys, which are kept only as digests; \
         the provider's internal notes; and the personal\ndata of the provider's people.\n",
    );
    page
}

/// Reads pages until one is empty; each yields where the next one begins.
async fn pages<K: Clone + Send + 'static, V: Send + 'static>(
    db: &Db,
    scope: Scope,
    read: impl Fn(&mut Connection, Option<K>) -> Result<(Option<K>, Vec<V>), Problem> + Clone + Send + 'static,
    mut take: impl FnMut(V) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let (from, read) = (after.clone(), read.clone());
        let (next, items) = db.read(scope, move |conn| read(conn, from)).await?;
        items.into_iter().try_for_each(&mut take)?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn tenants(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let view = db.read(scope, move |conn| {
        let found = store::tenant(conn, tenant)?.ok_or_else(|| Problem::not_found("tenant"))?;
        store::tenant_view(conn, found)
    });
    lines.add(&view.await?)
}

async fn users(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = store::members(conn, Some(tenant), after, PAGE)?;
        let next = rows.last().map(|(person, member)| (person.id, member.tenant_id));
        let views = rows
            .into_iter()
            .map(|(person, member)| UserView::of(person, &member));
        Ok((next, views.collect()))
    };
    pages(db, scope, read, |view| lines.add(&view)).await
}

async fn sessions(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = custody::sessions_of(conn, tenant, after, PAGE)?;
        Ok((rows.last().map(|row| row.id), rows))
    };
    let take = |row: crate::identity::session::Session| {
        lines.add(&json!({
            "id": row.id, "person_id": row.person_id, "address": row.address, "agent": row.agent,
            "created_at": row.created_at, "last_used_at": row.last_used_at, "expires_at": row.expires_at,
            "ended_at": row.ended_at,
        }))
    };
    pages(db, scope, read, take).await
}

async fn notifications(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = subscriptions::custody::page(conn, tenant, after, PAGE)?;
        Ok((rows.last().map(|row| row.person_id), rows))
    };
    pages(db, scope, read, |row| lines.add(&row)).await
}

async fn opt_outs(db: &Db, scope: Scope, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = mail::opt_outs::list(conn, scope, None, after, PAGE)?;
        let place = rows
            .last()
            .map(|row| (row.tenant_id, row.recipient.clone(), row.about));
        Ok((place, rows.into_iter().map(OptOutView::from).collect()))
    };
    pages(db, scope, read, |view: OptOutView| lines.add(&view)).await
}

async fn keys(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = api_key::store::list(conn, Some(tenant), None, after, PAGE)?;
        let next = rows.last().map(|(key, _)| key.id);
        Ok((
            next,
            rows.into_iter()
                .map(|(key, role)| ApiKeyView::of(key, role))
                .collect(),
        ))
    };
    pages(db, scope, read, |view| lines.add(&view)).await
}

async fn incidents(db: &Db, scope: Scope, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = incidents::store::list(conn, scope, false, &[], after, PAGE)?;
        let next = rows.last().map(|row| (row.standing, row.id));
        let views = rows
            .into_iter()
            .map(|row| incidents::view::of(conn, scope, false, (row, None)));
        Ok((next, views.collect::<Result<Vec<_>, _>>()?))
    };
    pages(db, scope, read, |view| lines.add(&view)).await
}

async fn service_requests(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let rows = requests::custody::page(conn, tenant, after, PAGE)?;
        Ok((rows.last().map(|row| row.request.id), rows))
    };
    pages(db, scope, read, |item| lines.add(&item)).await
}

async fn attachments(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    pages(db, scope, attachments_after(tenant), |row| {
        lines.add(&AttachmentView::from(row))
    })
    .await
}

/// The rows of its files, page by page.
pub fn attachments_after(
    tenant: TenantId,
) -> impl Fn(&mut Connection, Option<AttachmentId>) -> Result<(Option<AttachmentId>, Vec<Attachment>), Problem>
+ Clone {
    move |conn, after| {
        let rows = requests::attachments::store::list(conn, (tenant, None), after, PAGE)?;
        Ok((rows.last().map(|row| row.id), rows))
    }
}

async fn audit(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, before| {
        let filter = audit::store::Filter {
            tenant: Some(tenant),
            public_only: true,
            ..Default::default()
        };
        let rows = audit::store::list(conn, &filter, before, PAGE)?;
        let next = rows.last().map(|row| row.id);
        let views = rows.into_iter().map(|row| AuditView::of(false, row));
        Ok((next, views.collect()))
    };
    pages(db, scope, read, |view| lines.add(&view)).await
}

async fn deliveries(db: &Db, scope: Scope, tenant: TenantId, lines: &mut Lines) -> Result<(), Problem> {
    let read = move |conn: &mut Connection, after| {
        let filter = mail::ledger::Filter {
            tenant: Some(tenant),
            ..Default::default()
        };
        let rows = mail::ledger::list(conn, &filter, after, PAGE)?;
        let next = rows.last().map(|row| row.id);
        Ok((next, rows.into_iter().map(DeliveryView::from).collect()))
    };
    pages(db, scope, read, |view| lines.add(&view)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that has the rows of a table.
    const IN: &[(&str, &str)] = &[
        ("tenants", "tenant.jsonl"),
        ("tenant_regions", "tenant.jsonl"),
        ("tenant_services", "tenant.jsonl"),
        ("tenant_contacts", "tenant.jsonl"),
        ("memberships", "users.jsonl"),
        ("sessions", "sessions.jsonl"),
        ("api_keys", "api-keys.jsonl"),
        ("told", "incidents.jsonl"),
        ("service_requests", "service-requests.jsonl"),
        ("request_comments", "service-requests.jsonl"),
        ("request_watchers", "service-requests.jsonl"),
        ("sla_clocks", "service-requests.jsonl"),
        ("events", "audit.jsonl"),
        ("attachments", "attachments.jsonl"),
        ("deliveries", "deliveries.jsonl"),
        ("notification_preferences", "notifications.jsonl"),
        ("subscriptions", "notifications.jsonl"),
        ("opt_outs", "opt-outs.jsonl"),
    ];

    /// Tables with rows of tenants that are in no file, and why.
    const LEFT_OUT: &[(&str, &str)] = &[
        ("waiting_requests", "where queued requests stand in their lines"),
        ("audit_heads", "where the chain of the audit ends: the last seal"),
        (
            "external_identities",
            "what the tenant's own identity provider calls the users",
        ),
        (
            "identity_providers",
            "how operators let its people in, with a secret",
        ),
        (
            "idempotency_keys",
            "answers that are kept for a day, of calls whose effect is in the files",
        ),
        ("request_replies", "which mails became the comments in the files"),
        (
            "suppressions",
            "addresses whose mail came back, as the deliveries in the files say",
        ),
        ("mailed_tokens", "secrets of links that were mailed"),
        ("refresh_tokens", "secrets of sessions"),
        ("sla_intervals", "how the deadlines in the files were worked out"),
        ("unread_events", "what is still to be done about events"),
    ];

    #[test]
    fn every_table_with_rows_of_tenants_is_in_a_file_or_left_out_for_a_reason() {
        let schema = include_str!("../../db/schema.rs");
        let keyed = schema
            .lines()
            .filter_map(|line| line.trim().strip_suffix(") {")?.split_once(" (tenant_id"));
        let mut there: Vec<&str> = keyed.map(|(table, _)| table).collect();
        assert!(there.len() > 10, "{there:?}");
        there.push("tenants");
        let mut known: Vec<&str> = IN.iter().chain(LEFT_OUT).map(|(table, _)| *table).collect();
        there.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, there);
        for (_, file) in IN {
            assert!(PARTS.iter().any(|part| part.name == *file), "{file}");
        }
    }

    #[test]
    fn the_page_explains_every_file() {
        let page = page();
        for part in PARTS {
            assert!(page.contains(&format!("| `{}` | ", part.name)), "{}", part.name);
        }
    }
}
