//! THE POLICY: who may do what, on whose things. One table, asked at the door for every call and by the actions for
//! what depends on the case; `allclear rights` prints it as [docs/rights.md](../../docs/rights.md).
//!
//! A row is an action: what an API key needs for it, how far each role reaches, and the operations of the API that need
//! it. An operation that no row names, and that is not in [`OPEN`], is answered to nobody: the server does not start.

use super::model::Role;
use super::scopes::Grantable;
use Grantable::{
    AuditRead, CatalogRead, CatalogWrite, IncidentsRead, IncidentsWrite, MailRead, MailWrite, QueuesRead,
    QueuesWrite, RequestsRead, RequestsWrite, TenantsRead, TenantsWrite, UsersRead, UsersWrite,
};

/// The relation to a thing that a role needs: on whose it may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What belongs to its own tenant; a person's own account.
    Own,
    /// Published incidents that concern its own tenant: they affect it, its requests are bound to them, or it was told.
    Concerning,
    /// Everything but what is in restricted queues that it is no member of.
    Unrestricted,
    /// Everything.
    All,
}

/// What an API key needs for an action, besides its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForKeys {
    /// Nothing.
    Any,
    /// This scope.
    With(Grantable),
    /// It concerns people: no key does it.
    Never,
}
use ForKeys::{Any, Never, With};

/// A row of the policy.
#[derive(Debug)]
pub struct Row {
    /// What it is, for people.
    pub what: &'static str,
    /// What a key needs.
    pub keys: ForKeys,
    /// How far each role reaches, in the order of [`Role::ALL`].
    reach: [Option<Reach>; 6],
    /// The operations of the API that need it.
    pub operations: &'static [&'static str],
}

const NO: Option<Reach> = None;
const OWN: Option<Reach> = Some(Reach::Own);
const NEAR: Option<Reach> = Some(Reach::Concerning);
const FREE: Option<Reach> = Some(Reach::Unrestricted);
const ALL: Option<Reach> = Some(Reach::All);

macro_rules! policy {
    ($($right:ident, [$($reach:ident)*], $keys:expr, $what:literal, [$($operation:ident)*];)*) => {
        /// An action that a role may be allowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Right { $(#[doc = $what] $right,)* }

        impl Right {
            /// Every right, in the order of the table.
            pub const ALL: &'static [Right] = &[$(Right::$right,)*];

            /// Its row.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Right::$right => const { &Row {
                        what: $what,
                        keys: $keys,
                        reach: [$($reach,)*],
                        operations: &[$(stringify!($operation),)*],
                    } },)*
                }
            }
        }
    };
}

#[rustfmt::skip]
policy! {
    // reach of: tenant_admin tenant_viewer agent lead incident_manager operator
    ReadMyself,        [OWN  OWN  OWN  OWN  OWN  OWN ], Any,                   "Read one's own account",
        [me];
    ChangeMyself,      [OWN  OWN  OWN  OWN  OWN  OWN ], Never,                 "Change one's own account, password, second factor and sessions",
        [change_me change_password begin_second_factor confirm_second_factor remove_my_second_factor
         list_sessions end_session end_sessions];
    ReadCatalog,       [ALL  ALL  ALL  ALL  ALL  ALL ], With(CatalogRead),     "Read services and regions",
        [list_services list_regions];
    EditCatalog,       [NO   NO   NO   NO   NO   ALL ], With(CatalogWrite),    "Add services and regions",
        [create_service create_region];
    ReadTenants,       [OWN  OWN  ALL  ALL  ALL  ALL ], With(TenantsRead),     "Read a tenant",
        [read_tenant];
    ManageTenants,     [NO   NO   NO   NO   NO   ALL ], With(TenantsWrite),    "List, create, change and disable tenants",
        [list_tenants create_tenant change_tenant];
    ManageContacts,    [OWN  NO   NO   NO   NO   ALL ], With(TenantsWrite),    "Name the contacts that get a tenant's status mail",
        [set_contacts];
    ReadUsers,         [OWN  NO   NO   ALL  NO   ALL ], With(UsersRead),       "Read users",
        [list_users read_user];
    ManageUsers,       [OWN  NO   NO   NO   NO   ALL ], With(UsersWrite),      "Invite, create, change and disable users",
        [create_user change_user invite_user];
    RemoveSecondFactors,[OWN NO  NO   NO   NO   ALL ], Never,                "Remove the second factor of a user who has lost it",
        [remove_second_factor];
    ManageApiKeys,     [OWN  NO   NO   NO   NO   ALL ], Never,                 "Read, create and revoke API keys",
        [list_api_keys create_api_key read_api_key revoke_api_key];
    ManageIdentityProviders, [NO NO NO NO NO ALL], Never,               "Read, register, change and remove identity providers",
        [list_identity_providers create_identity_provider read_identity_provider change_identity_provider
         remove_identity_provider];
    ReadIncidents,     [NEAR NEAR ALL  ALL  ALL  ALL ], With(IncidentsRead),   "Read published incidents",
        [list_incidents read_incident list_requests_of_incident];
    ReadDrafts,        [NO   NO   ALL  ALL  ALL  ALL ], With(IncidentsRead),   "Read drafts, and who wrote an update",
        [];
    ManageIncidents,   [NO   NO   NO   NO   ALL  ALL ], With(IncidentsWrite),  "Open, publish, change, update, end, merge, reopen and report incidents",
        [open_incident publish_incident change_incident update_incident resolve_incident reopen_incident mark_false_positive
         merge_incident cancel_incident report_incident];
    ReadRequests,      [OWN  OWN  FREE FREE FREE ALL ], With(RequestsRead),    "Read requests, comments, files and histories",
        [list_requests read_request list_comments list_history read_sla list_requests_of_incident
         list_requests_of_queue list_attachments read_attachment rehearse_rules];
    SeeInternals,      [NO   NO   FREE FREE FREE ALL ], With(RequestsRead),    "Read internal notes and events, assignees and queues",
        [];
    FileRequests,      [OWN  NO   ALL  ALL  NO   ALL ], With(RequestsWrite),   "File requests",
        [file_request];
    ChangeRequests,    [OWN  NO   FREE FREE NO   ALL ], With(RequestsWrite),   "Change severity, subject, tags and contact",
        [change_request];
    Converse,          [OWN  NO   FREE FREE FREE ALL ], With(RequestsWrite),   "Add to a conversation, by one of the next two",
        [comment_on_request];
    CommentOnRequests, [OWN  NO   FREE FREE NO   ALL ], With(RequestsWrite),   "Comment in public, add and remove files and watchers",
        [add_watchers remove_watchers add_attachment remove_attachment];
    WriteNotes,        [NO   NO   FREE FREE FREE ALL ], With(RequestsWrite),   "Write internal notes",
        [];
    ReopenRequests,    [OWN  NO   FREE FREE NO   ALL ], With(RequestsWrite),   "Reopen, say \"still affected\"",
        [reopen_request still_affected];
    ResolveRequests,   [OWN  NO   FREE FREE NO   ALL ], With(RequestsWrite),   "Resolve",
        [resolve_request];
    CancelRequests,    [OWN  NO   NO   NO   NO   ALL ], With(RequestsWrite),   "Cancel",
        [cancel_request];
    WorkRequests,      [NO   NO   FREE FREE NO   ALL ], With(RequestsWrite),   "Claim, take, release, wait, hold, resume, transfer, escalate, close, reject, pin, link",
        [claim_request assign_request release_request await_customer hold_request resume_request
         transfer_request escalate_request close_request reject_request pin_request unpin_request link_request];
    AssignOthers,      [NO   NO   NO   FREE NO   ALL ], With(RequestsWrite),   "Assign to somebody else",
        [];
    ReadQueues,        [NO   NO   ALL  ALL  ALL  ALL ], With(QueuesRead),      "Read queues, rosters, coverage, duty and rules",
        [list_queues read_queue read_shifts read_coverage on_duty read_rules list_requests_of_queue
         list_rule_versions read_rule_version preview_routing list_absences list_overrides list_waivers
         queue_calendar agent_calendar list_hand_overs read_queue_stats];
    HandOver,          [NO   NO   ALL  ALL  NO   ALL ], With(QueuesWrite),     "Take note of a hand-over, leave last words",
        [acknowledge_hand_over leave_last_words];
    EnterAbsences,     [NO   NO   OWN  ALL  NO   ALL ], With(QueuesWrite),     "Enter and remove absences",
        [enter_absence remove_absence];
    ManageQueues,      [NO   NO   NO   ALL  NO   ALL ], With(QueuesWrite),     "Create and change queues, replace shifts and rules, override rosters, waive coverage",
        [create_queue change_queue replace_shifts replace_rules rehearse_rules enter_override swap_duties
         remove_override grant_waiver revoke_waiver];
    ReadAgents,        [NO   NO   ALL  ALL  ALL  ALL ], With(QueuesRead),      "Read agents: presence, capacity, skills",
        [list_agents read_agent];
    SetMyPresence,     [NO   NO   OWN  OWN  NO   OWN ], Never,                 "Say whether one takes work",
        [set_my_presence];
    ChangeAgents,      [NO   NO   OWN  ALL  NO   ALL ], With(QueuesWrite),     "Change the presence of an agent",
        [change_agent];
    ManageAgents,      [NO   NO   NO   ALL  NO   ALL ], With(QueuesWrite),     "Set capacity and skills of an agent",
        [];
    ReadReports,       [NO   NO   NO   ALL  ALL  ALL ], With(QueuesRead),      "Read reports",
        [list_stranded report_queues report_sla];
    ReadPromises,      [NO   NO   ALL  ALL  ALL  ALL ], With(QueuesRead),      "Read SLA policies and calendars",
        [read_policies list_policy_sets read_policy_set list_calendars read_calendar];
    ManagePromises,    [NO   NO   NO   ALL  NO   ALL ], With(QueuesWrite),     "Set SLA policies, make and change calendars",
        [replace_policies create_calendar replace_calendar import_holidays];
    ReadBroadcasts,    [NO   NO   ALL  ALL  ALL  ALL ], With(MailRead),        "Read broadcasts",
        [read_broadcast list_broadcasts];
    CancelBroadcasts,  [NO   NO   NO   NO   ALL  ALL ], With(MailWrite),       "Cancel broadcasts",
        [cancel_broadcast];
    ReadDeliveries,    [NO   NO   NO   ALL  ALL  ALL ], With(MailRead),        "Read the ledger of mail",
        [list_deliveries];
    RetryDeliveries,   [NO   NO   NO   ALL  ALL  ALL ], With(MailWrite),       "Send again what failed",
        [retry_delivery retry_deliveries];
    ChangeNotifications,[OWN OWN  OWN  OWN  OWN  OWN ], Never,                 "Say what one wants to hear of",
        [read_notifications set_notifications subscribe_to_incident unsubscribe_from_incident];
    ReadOptOuts,       [OWN  NO   NO   ALL  ALL  ALL ], With(MailRead),        "Read who wants no more mail",
        [list_opt_outs];
    ReadSuppressions,  [OWN  NO   NO   ALL  ALL  ALL ], With(MailRead),        "Read which addresses take no mail",
        [list_suppressions];
    LiftSuppressions,  [OWN  NO   NO   ALL  ALL  ALL ], With(MailWrite),       "Let mail go to an address again",
        [lift_suppression];
    PreviewMail,       [NO   NO   NO   NO   ALL  ALL ], With(MailRead),        "See what mail looks like",
        [list_templates preview_template];
    ReadAudit,         [OWN  NO   NO   NO   NO   ALL ], With(AuditRead),       "Read the audit",
        [list_audit];
}

/// The operations that need no sign-in.
pub const OPEN: &[&str] = &[
    "accept_invitation",
    "ask_reset",
    "begin_sso",
    "finish_sso",
    "healthz",
    "jwks",
    "login",
    // By its refresh token, or by the access token if there is one.
    "logout",
    "metrics",
    "readyz",
    "refresh",
    "set_password",
    // By the link in a mail, which proves that one reads the mail of an address.
    "show_unsubscribe",
    "unsubscribe",
];

/// How far `role` reaches with `right`; `None` when it may not do it at all.
pub fn reach(role: Role, right: Right) -> Option<Reach> {
    let column = Role::ALL.iter().position(|known| *known == role)?;
    right.row().reach.get(column).copied().flatten()
}

/// Whether `role` has `right`.
pub fn allows(role: Role, right: Right) -> bool {
    reach(role, right).is_some()
}

/// The rights that an operation needs, all of them; `None` for one that the policy does not know.
pub fn needed(operation: &str) -> Option<Vec<Right>> {
    let asks = |right: &&Right| right.row().operations.contains(&operation);
    let rights: Vec<Right> = Right::ALL.iter().filter(asks).copied().collect();
    (OPEN.contains(&operation) || !rights.is_empty()).then_some(rights)
}

/// The policy as a page of Markdown tables.
pub fn markdown() -> String {
    let mut page = String::from("| right | scope of a key |");
    for role in Role::ALL {
        page.push_str(&format!(" {role} |"));
    }
    page.push_str("\n|---|---|");
    page.push_str(&":-:|".repeat(Role::ALL.len()));
    page.push('\n');
    for right in Right::ALL {
        let row = right.row();
        let scope = match row.keys {
            Any => "none needed".to_owned(),
            With(scope) => format!("`{scope}`"),
            Never => "not for keys".to_owned(),
        };
        page.push_str(&format!("| `{right:?}`: {} | {scope} |", row.what));
        for role in Role::ALL {
            let cell = match reach(*role, *right) {
                None => "",
                Some(Reach::Own) => "own",
                Some(Reach::Concerning) => "concerning",
                Some(Reach::Unrestricted) => "unrestricted",
                Some(Reach::All) => "all",
            };
            page.push_str(&format!(" {cell} |"));
        }
        page.push('\n');
    }
    page.push_str("\n| operation | needs |\n|---|---|\n");
    let guarded = Right::ALL.iter().flat_map(|right| right.row().operations);
    let mut operations: Vec<&str> = guarded.copied().collect();
    operations.extend(OPEN);
    operations.sort_unstable();
    operations.dedup();
    for operation in operations {
        let rights = needed(operation).unwrap_or_default();
        let rights: Vec<String> = rights.iter().map(|right| format!("`{right:?}`")).collect();
        let needs = if rights.is_empty() {
            "no sign-in".to_owned()
        } else {
            rights.join(" and ")
        };
        page.push_str(&format!("| `{operation}` | {needs} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_everything_and_a_viewer_only_reads() {
        for right in Right::ALL {
            assert!(allows(Role::Operator, *right), "{right:?}");
            let reads = matches!(
                right,
                Right::ReadMyself
                    | Right::ChangeMyself
                    | Right::ReadCatalog
                    | Right::ReadTenants
                    | Right::ReadIncidents
                    | Right::ReadRequests
                    | Right::ChangeNotifications
            );
            assert_eq!(allows(Role::TenantViewer, *right), reads, "{right:?}");
        }
    }

    #[test]
    fn a_tenants_people_reach_no_further_than_their_tenant() {
        for right in Right::ALL {
            for role in Role::ALL.iter().filter(|role| !role.is_staff()) {
                let far = matches!(reach(*role, *right), Some(Reach::All | Reach::Unrestricted));
                assert_eq!(far, *right == Right::ReadCatalog, "{right:?} of {role}");
            }
        }
    }

    #[test]
    fn no_open_operation_needs_a_right() {
        for operation in OPEN {
            assert_eq!(needed(operation), Some(Vec::new()), "{operation}");
        }
        assert_eq!(needed("read_minds"), None);
    }
}
