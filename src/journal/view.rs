//! What of an event a tenant may see: what is internal stays with staff, and of whom among staff it was, only the name.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Side;
use crate::db::PersonId;

/// Who wrote or did something.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ActorView {
    /// The side.
    pub side: Side,
    /// The name.
    pub name: String,
    /// The person; not of staff to a tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<PersonId>,
}

impl ActorView {
    /// As `staff` see it, or a tenant.
    pub fn of(staff: bool, side: Side, id: Option<PersonId>, name: String) -> Self {
        Self {
            side,
            name,
            id: id.filter(|_| staff || side == Side::Tenant),
        }
    }
}

/// The address that something was done from; not of staff to a tenant.
pub fn address(staff: bool, side: Side, address: String) -> Option<String> {
    let is_shown = staff || side == Side::Tenant;
    Some(address).filter(|address| is_shown && !address.is_empty())
}

/// What, from, to, why; what is under `internal` is for staff.
pub fn data(staff: bool, mut data: Value) -> Value {
    if !staff && let Some(map) = data.as_object_mut() {
        map.remove("internal");
    }
    data
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::db::Id;
    use crate::journal::changes;

    #[test]
    fn a_tenant_sees_its_own_people_whole_and_of_staff_the_name() {
        for (staff, side, whole) in [
            (true, Side::Staff, true),
            (true, Side::Tenant, true),
            (false, Side::Tenant, true),
            (false, Side::Staff, false),
        ] {
            let id = Id::from_uuid(uuid::Uuid::from_u128(7));
            let actor = ActorView::of(staff, side, Some(id), "Ada".to_owned());
            let address = address(staff, side, "192.0.2.7".to_owned());
            assert_eq!(actor.name, "Ada");
            assert_eq!((actor.id.is_some(), address.is_some()), (whole, whole));
        }
        assert_eq!(address(true, Side::System, String::new()), None);
    }

    #[test]
    fn what_is_internal_is_for_staff() {
        let whole = json!({"to": "queued", "internal": {"rule": "all"}});
        assert_eq!(data(true, whole.clone()), whole);
        assert_eq!(data(false, whole), json!({"to": "queued"}));
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = json!({"name": "A", "plan": "standard", "regions": ["x"]});
        let after = json!({"name": "B", "plan": "standard", "regions": ["x", "y"]});
        assert_eq!(
            changes(before.clone(), after),
            json!({"from": {"name": "A", "regions": ["x"]}, "to": {"name": "B", "regions": ["x", "y"]}})
        );
        assert_eq!(changes(before.clone(), before), json!({"from": {}, "to": {}}));
    }
}
