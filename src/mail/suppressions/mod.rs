//! Addresses that take no mail: what went there came back for good. Nothing more is sent there on behalf of the tenant,
//! until somebody says that it is mended.
//!
//! They are a tenant's: its own people see them and lift them, and none learns whom another one writes to.

mod actions;
pub mod api;
pub mod store;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

pub use actions::suppress;

use crate::db::schema::suppressions;
use crate::db::{DeliveryId, Moment, SuppressionId, TenantId};

/// An address that takes no mail: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = suppressions)]
pub struct Suppression {
    /// On whose behalf nothing is sent there.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: SuppressionId,
    /// The address, in lower case.
    pub address: String,
    /// What the other mail server said.
    pub said: String,
    /// The message that came back.
    pub delivery_id: DeliveryId,
    /// Since when.
    pub at: Moment,
}

/// An address that takes no mail, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuppressionView {
    /// Its id.
    pub id: SuppressionId,
    /// On whose behalf nothing is sent there.
    pub tenant_id: TenantId,
    /// The address.
    pub address: String,
    /// What the other mail server said.
    pub said: String,
    /// The message that came back.
    pub delivery_id: DeliveryId,
    /// Since when.
    pub created_at: Moment,
}

impl From<Suppression> for SuppressionView {
    fn from(row: Suppression) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            address: row.address,
            said: row.said,
            delivery_id: row.delivery_id,
            created_at: row.at,
        }
    }
}
