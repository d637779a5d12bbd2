//! What an API key can be limited to: each right belongs to one scope, or is not for keys at all.

use super::rights::Right;
use crate::db::text_enum;

text_enum! {
    /// A scope of an API key.
    Grantable {
        CatalogRead = "catalog:read",
        CatalogWrite = "catalog:write",
        TenantsWrite = "tenants:write",
        UsersRead = "users:read",
        UsersWrite = "users:write",
        IncidentsRead = "incidents:read",
        IncidentsWrite = "incidents:write",
        RequestsRead = "requests:read",
        RequestsWrite = "requests:write",
        QueuesRead = "queues:read",
        QueuesWrite = "queues:write",
        MailRead = "mail:read",
    }
}

impl Right {
    /// The scope that a key needs for it; `None` is for people alone.
    pub fn scope(self) -> Option<Grantable> {
        Some(match self {
            Right::ReadCatalog => Grantable::CatalogRead,
            Right::EditCatalog => Grantable::CatalogWrite,
            Right::ManageTenants => Grantable::TenantsWrite,
            Right::ReadUsers => Grantable::UsersRead,
            Right::ManageUsers => Grantable::UsersWrite,
            Right::ManageApiKeys => return None,
            Right::ReadIncidents | Right::ReadDrafts => Grantable::IncidentsRead,
            Right::ManageIncidents => Grantable::IncidentsWrite,
            Right::ReadRequests | Right::SeeInternals => Grantable::RequestsRead,
            Right::FileRequests
            | Right::CommentOnRequests
            | Right::ReopenRequests
            | Right::ResolveRequests
            | Right::CancelRequests
            | Right::WorkRequests
            | Right::AssignOthers => Grantable::RequestsWrite,
            Right::ReadQueues => Grantable::QueuesRead,
            Right::ManageQueues => Grantable::QueuesWrite,
            Right::ReadBroadcasts | Right::ReadDeliveries => Grantable::MailRead,
        })
    }
}
