//! What an API key can be limited to. Which action needs which scope is in the policy, `rights.rs`.

use crate::db::text_enum;

text_enum! {
    /// A scope of an API key.
    Grantable {
        CatalogRead = "catalog:read",
        CatalogWrite = "catalog:write",
        TenantsRead = "tenants:read",
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
        MailWrite = "mail:write",
        AuditRead = "audit:read",
    }
}
