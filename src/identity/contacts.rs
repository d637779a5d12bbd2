//! Contacts: the addresses that a tenant names for its status mail besides its people, and what each of them hears of.

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::actions::tenant::begin;
use super::model::{Tenant, TenantView};
use super::store;
use super::{Caller, Right};
use crate::db::schema::tenant_contacts;
use crate::db::{Connection, ContactId, Id, Moment, TenantId, text_enum};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::Problem;
use crate::text;

text_enum! {
    /// What there is to hear of an incident.
    Topic { Opened = "opened", Updated = "updated", Ended = "ended", Reported = "reported" }
}

impl Topic {
    /// Those that are wanted, of all of them in their order.
    pub fn wanted(wishes: [bool; 4]) -> Vec<Self> {
        let each = Self::ALL.iter().zip(wishes);
        each.filter_map(|(topic, is_wanted)| is_wanted.then_some(*topic))
            .collect()
    }
}

/// Somebody who is subscribed to the status mail of a tenant.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = tenant_contacts)]
pub struct Contact {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The id.
    pub id: ContactId,
    /// The address, in lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
    /// Hears that an incident began.
    pub opened: bool,
    /// Hears what became known.
    pub updated: bool,
    /// Hears that it is over.
    pub ended: bool,
    /// Hears why it was.
    pub reported: bool,
    /// Gets updates once a day.
    pub digest: bool,
}

/// A contact as it is named; language and zone are the tenant's unless given.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// The address.
    #[garde(custom(text::email))]
    pub email: String,
    /// The name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The language.
    #[serde(default)]
    #[garde(inner(custom(text::locale)))]
    pub locale: Option<String>,
    /// The IANA time zone.
    #[serde(default)]
    #[garde(inner(custom(text::time_zone)))]
    pub time_zone: Option<String>,
    /// Of which events of an incident; all when left out. Its end goes to whoever was told that it began in any case.
    #[serde(default)]
    #[garde(inner(length(max = 4)))]
    pub topics: Option<Vec<Topic>>,
    /// `true` for updates once a day, at eight in the morning, or with the mail of what happens before.
    #[serde(default)]
    #[garde(skip)]
    pub digest: bool,
}

/// All contacts of a tenant.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContacts {
    /// Who gets its status mail.
    #[garde(length(max = 1000), dive)]
    pub contacts: Vec<NewContact>,
}

/// A contact, as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ContactView {
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
    /// Of which events it hears.
    pub topics: Vec<Topic>,
    /// Whether it gets updates once a day.
    pub digest: bool,
}

impl From<Contact> for ContactView {
    fn from(row: Contact) -> Self {
        Self {
            topics: Topic::wanted([row.opened, row.updated, row.ended, row.reported]),
            email: row.email,
            name: row.name,
            locale: row.locale,
            time_zone: row.time_zone,
            digest: row.digest,
        }
    }
}

/// The rows of what is named, each address once.
pub fn rows(named: &[NewContact], tenant: &Tenant, now: Moment) -> Result<Vec<Contact>, Problem> {
    let mut rows: Vec<Contact> = Vec::new();
    for (place, contact) in named.iter().enumerate() {
        let email = text::email_address(&contact.email).unwrap_or_default();
        if rows.iter().any(|other| other.email == email) {
            return Err(Problem::invalid(
                format!("/contacts/{place}/email"),
                "is there twice",
            ));
        }
        let or = |given: &Option<String>, own: &str| given.clone().unwrap_or_else(|| own.to_owned());
        let hears = |topic| {
            contact
                .topics
                .as_ref()
                .is_none_or(|topics| topics.contains(&topic))
        };
        rows.push(Contact {
            tenant_id: tenant.id,
            id: Id::at(now),
            email,
            name: contact.name.trim().to_owned(),
            locale: or(&contact.locale, &tenant.locale),
            time_zone: or(&contact.time_zone, &tenant.time_zone),
            opened: hears(Topic::Opened),
            updated: hears(Topic::Updated),
            ended: hears(Topic::Ended),
            reported: hears(Topic::Reported),
            digest: contact.digest,
        });
    }
    Ok(rows)
}

/// The contacts of a tenant, in the order they were named.
pub fn of(conn: &mut Connection, tenant: TenantId) -> Result<Vec<Contact>, Problem> {
    Ok(tenant_contacts::table
        .filter(tenant_contacts::tenant_id.eq(tenant))
        .order(tenant_contacts::id)
        .select(Contact::as_select())
        .load(conn)?)
}

/// Adds contacts.
pub fn add(conn: &mut Connection, contacts: &[Contact]) -> Result<(), Problem> {
    for contact in contacts {
        diesel::insert_into(tenant_contacts::table)
            .values(contact)
            .execute(conn)?;
    }
    Ok(())
}

/// Names all contacts of a tenant anew. Whoever is not among them any more, and was told of an incident, hears of its end.
pub fn set(
    conn: &mut Connection,
    caller: &Caller,
    id: TenantId,
    form: &NewContacts,
) -> Result<TenantView, Problem> {
    caller.require(Right::ManageContacts)?;
    let mut tenant = begin(conn, caller, id)?;
    let version = tenant.version;
    let now = caller.now();
    let before = of(conn, id)?;
    let after = rows(&form.contacts, &tenant, now)?;
    tenant.version = version.saturating_add(1);
    tenant.updated_at = now;
    store::save_tenant(conn, &tenant, version)?;
    replace(conn, &before, &after)?;
    let shown = |rows: &[Contact]| json!({"contacts": rows.iter().cloned().map(ContactView::from).collect::<Vec<_>>()});
    let event = Event::next(
        EventKind::ContactsChanged,
        (SubjectKind::Tenant, id),
        id,
        (&caller.actor(), now),
        journal::changes(shown(&before), shown(&after)),
    );
    journal::append(conn, event, &[])?;
    store::tenant_view(conn, tenant)
}

/// Who stays is the same row: what is kept for its next morning stays with it.
fn replace(conn: &mut Connection, before: &[Contact], after: &[Contact]) -> Result<(), Problem> {
    for old in before {
        let row = tenant_contacts::table.find((old.tenant_id, old.id));
        match after.iter().find(|new| new.email == old.email) {
            None => diesel::delete(row).execute(conn)?,
            Some(new) => {
                let kept = Contact {
                    id: old.id,
                    ..new.clone()
                };
                diesel::update(row).set(&kept).execute(conn)?
            }
        };
    }
    let is_new = |new: &&Contact| !before.iter().any(|old| old.email == new.email);
    add(conn, &after.iter().filter(is_new).cloned().collect::<Vec<_>>())
}
