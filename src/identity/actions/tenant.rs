//! The verbs of tenants: create, change.

use diesel::prelude::*;
use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{language, zone};
use crate::db::schema::{regions, services};
use crate::db::{Connection, Id, PROVIDER, TenantId, lock};
use crate::identity::contacts::{self, NewContact};
use crate::identity::model::{Plan, Tenant, TenantView};
use crate::identity::{Caller, Right, store};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, FieldError, Problem};
use crate::text;

/// A new tenant.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// Slugs of its regions.
    #[garde(length(min = 1, max = 100), inner(custom(text::slug)))]
    pub regions: Vec<String>,
    /// Slugs of the services it subscribes to.
    #[garde(length(min = 1, max = 500), inner(custom(text::slug)))]
    pub services: Vec<String>,
    /// Its support plan.
    #[serde(default)]
    #[garde(skip)]
    pub plan: Plan,
    /// Its language.
    #[serde(default = "language")]
    #[garde(custom(text::locale))]
    pub locale: String,
    /// Its IANA time zone.
    #[serde(default = "zone")]
    #[garde(custom(text::time_zone))]
    pub time_zone: String,
    /// Who gets its status mail.
    #[serde(default)]
    #[garde(length(max = 1000), dive)]
    pub contacts: Vec<NewContact>,
}

/// What changes of a tenant; what is left out stays.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// Its name.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
    /// Slugs of all its regions.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 100), inner(custom(text::slug))))]
    pub regions: Option<Vec<String>>,
    /// Slugs of all the services it subscribes to.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 500), inner(custom(text::slug))))]
    pub services: Option<Vec<String>>,
    /// Its support plan.
    #[serde(default)]
    #[garde(skip)]
    pub plan: Option<Plan>,
    /// Its language.
    #[serde(default)]
    #[garde(inner(custom(text::locale)))]
    pub locale: Option<String>,
    /// Its IANA time zone.
    #[serde(default)]
    #[garde(inner(custom(text::time_zone)))]
    pub time_zone: Option<String>,
    /// Whether its people and keys are kept out.
    #[serde(default)]
    #[garde(skip)]
    pub disabled: Option<bool>,
}

/// Creates a tenant.
pub fn create_tenant(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewTenant,
) -> Result<TenantView, Problem> {
    caller.require(Right::ManageTenants)?;
    let (region_slugs, service_slugs) = (text::unique(&form.regions), text::unique(&form.services));
    known_slugs(conn, &region_slugs, &service_slugs)?;
    let now = caller.now();
    let tenant = Tenant {
        id: Id::at(now),
        name: form.name.trim().to_owned(),
        plan: form.plan,
        locale: form.locale.clone(),
        time_zone: form.time_zone.clone(),
        disabled: false,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let contacts = contacts::rows(&form.contacts, &tenant, now)?;
    store::create_tenant(conn, &tenant, &region_slugs, &service_slugs, &contacts)?;
    let event = Event::new(
        EventKind::TenantCreated,
        (SubjectKind::Tenant, tenant.id),
        (tenant.id, 1),
        (&caller.actor(), now),
        json!({"to": described(&tenant, &region_slugs, &service_slugs), "contacts": contacts.len()}),
    );
    journal::record(conn, &event, &[])?;
    store::tenant_view(conn, tenant)
}

/// 422 with a pointer to each region and service that the catalog does not have.
pub fn known_slugs(
    conn: &mut Connection,
    wanted_regions: &[String],
    wanted_services: &[String],
) -> Result<(), Problem> {
    let known_regions: Vec<String> = regions::table
        .filter(regions::slug.eq_any(wanted_regions.to_vec()))
        .select(regions::slug)
        .load(conn)?;
    let known_services: Vec<String> = services::table
        .filter(services::slug.eq_any(wanted_services.to_vec()))
        .select(services::slug)
        .load(conn)?;
    let unknown = |field: &str, wanted: &[String], known: &[String]| -> Vec<FieldError> {
        let missing = wanted.iter().filter(|slug| !known.contains(slug));
        missing
            .map(|slug| FieldError {
                pointer: format!("/{field}"),
                detail: format!("there is no `{slug}`"),
            })
            .collect()
    };
    let mut errors = unknown("regions", wanted_regions, &known_regions);
    errors.extend(unknown("services", wanted_services, &known_services));
    match errors.first() {
        None => Ok(()),
        Some(first) => {
            let detail = format!("{}: {}", first.pointer, first.detail);
            Err(Problem::new(Code::ValidationFailed, detail).with_errors(errors))
        }
    }
}

/// A tenant that is going to be changed, under its lock, as the caller has seen it.
pub fn begin(conn: &mut Connection, caller: &Caller, id: TenantId) -> Result<Tenant, Problem> {
    let is_foreign = caller.scope().tenant().is_some_and(|own| own != id);
    lock::exclusive(conn, lock::Key::of(id))?;
    let found = store::tenant(conn, id)?.filter(|tenant| tenant.id != PROVIDER && !is_foreign);
    let tenant = found.ok_or_else(|| Problem::not_found("tenant"))?;
    let standing = if tenant.disabled { "disabled" } else { "active" };
    caller.if_match.require(tenant.version, standing)?;
    Ok(tenant)
}

/// Changes a tenant.
pub fn change_tenant(
    conn: &mut Connection,
    caller: &Caller,
    id: TenantId,
    form: &TenantChange,
) -> Result<TenantView, Problem> {
    caller.require(Right::ManageTenants)?;
    let before = begin(conn, caller, id)?;
    let (regions, services) = (
        form.regions.as_ref().map(text::unique),
        form.services.as_ref().map(text::unique),
    );
    known_slugs(
        conn,
        regions.as_deref().unwrap_or_default(),
        services.as_deref().unwrap_or_default(),
    )?;
    let now = caller.now();
    let mut tenant = before.clone();
    tenant.name = form
        .name
        .as_deref()
        .map_or(tenant.name, |name| name.trim().to_owned());
    tenant.plan = form.plan.unwrap_or(tenant.plan);
    tenant.locale = form.locale.clone().unwrap_or(tenant.locale);
    tenant.time_zone = form.time_zone.clone().unwrap_or(tenant.time_zone);
    tenant.disabled = form.disabled.unwrap_or(tenant.disabled);
    tenant.version = before.version.saturating_add(1);
    tenant.updated_at = now;
    store::save_tenant(conn, &tenant, before.version)?;
    let (regions_before, services_before) = (store::regions_of(conn, id)?, store::services_of(conn, id)?);
    if let Some(regions) = &regions {
        store::replace_regions(conn, id, regions)?;
    }
    if let Some(services) = &services {
        store::replace_services(conn, id, services)?;
    }
    let data = journal::changes(
        described(&before, &regions_before, &services_before),
        described(
            &tenant,
            regions.as_ref().unwrap_or(&regions_before),
            services.as_ref().unwrap_or(&services_before),
        ),
    );
    let event = Event::next(
        EventKind::TenantChanged,
        (SubjectKind::Tenant, id),
        id,
        (&caller.actor(), now),
        data,
    );
    journal::append(conn, event, &[])?;
    store::tenant_view(conn, tenant)
}

fn described(tenant: &Tenant, regions: &[String], services: &[String]) -> serde_json::Value {
    json!({
        "name": tenant.name, "plan": tenant.plan, "locale": tenant.locale,
        "time_zone": tenant.time_zone, "disabled": tenant.disabled,
        "regions": regions, "services": services,
    })
}
