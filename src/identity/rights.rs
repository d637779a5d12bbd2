//! Who may do what: one table, asked by every action. Whose rows one sees is not here but in the scope of a query:
//! a foreign tenant's row is not found, whatever the role.

use super::model::Role;
use Role::{Agent, IncidentManager, Lead, Operator, TenantAdmin, TenantViewer};

macro_rules! rights {
    ($($(#[doc = $doc:literal])* $right:ident: $($role:ident)*;)*) => {
        /// Something a caller may be allowed to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Right { $($(#[doc = $doc])* $right,)* }

        impl Right {
            /// Every right, in the order of the table.
            pub const ALL: &'static [Right] = &[$(Right::$right,)*];

            /// The roles that have it; an operator has every right.
            pub fn roles(self) -> &'static [Role] {
                match self { $(Right::$right => &[$($role,)* Operator],)* }
            }
        }
    };
}

rights! {
    /// Read services and regions
    ReadCatalog: TenantAdmin TenantViewer Agent Lead IncidentManager;
    /// Add services and regions
    EditCatalog: ;
    /// Read and create tenants
    ManageTenants: ;
    /// Read users
    ReadUsers: TenantAdmin Lead;
    /// Create users (a tenant's administrator only of its tenant)
    ManageUsers: TenantAdmin;
    /// Create and revoke API keys (a tenant's administrator only of its tenant)
    ManageApiKeys: TenantAdmin;
    /// Read published incidents (a tenant only those that concern it)
    ReadIncidents: TenantAdmin TenantViewer Agent Lead IncidentManager;
    /// Read drafts and authors
    ReadDrafts: Agent Lead IncidentManager;
    /// Open, update, end and reopen incidents
    ManageIncidents: IncidentManager;
    /// Read requests, comments and histories
    ReadRequests: TenantAdmin TenantViewer Agent Lead IncidentManager;
    /// File requests
    FileRequests: TenantAdmin Agent Lead;
    /// Comment in public, add watchers
    CommentOnRequests: TenantAdmin Agent Lead;
    /// Reopen, say "still affected"
    ReopenRequests: TenantAdmin Agent Lead;
    /// Resolve
    ResolveRequests: TenantAdmin Agent Lead;
    /// Cancel one's own tenant's requests
    CancelRequests: TenantAdmin;
    /// See and write internal notes, internal events, assignees
    SeeInternals: Agent Lead IncidentManager;
    /// Claim, take, release, wait, hold, resume, transfer, close, reject, pin, link
    WorkRequests: Agent Lead;
    /// Assign to somebody else
    AssignOthers: Lead;
    /// Read queues, shifts, duty and rules
    ReadQueues: Agent Lead IncidentManager;
    /// Create queues, replace shifts and rules
    ManageQueues: Lead;
    /// Read broadcasts
    ReadBroadcasts: Agent Lead IncidentManager;
    /// Read the ledger of mail, retry what failed
    ReadDeliveries: Lead IncidentManager;
}

/// Whether `role` has `right`.
pub fn allows(role: Role, right: Right) -> bool {
    right.roles().contains(&role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_everything_and_a_viewer_only_reads() {
        for right in Right::ALL {
            assert!(allows(Operator, *right), "{right:?}");
            let reads = matches!(
                right,
                Right::ReadCatalog | Right::ReadIncidents | Right::ReadRequests
            );
            assert_eq!(allows(TenantViewer, *right), reads, "{right:?}");
        }
    }
}
