//! Preferences and subscriptions, as rows and as their owner sees them.

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wishes::Wishes;
use crate::db::schema::{notification_preferences, subscriptions};
use crate::db::{Id, IncidentId, Moment, PersonId, SubscriptionId, TenantId};
use crate::http::body;
use crate::identity::{Contact, Topic};
use crate::text;

impl Wishes {
    fn of(topics: &[Topic], digest: bool) -> Self {
        Self {
            digest,
            opened: topics.contains(&Topic::Opened),
            updated: topics.contains(&Topic::Updated),
            ended: topics.contains(&Topic::Ended),
            reported: topics.contains(&Topic::Reported),
        }
    }

    fn topics(self) -> Vec<Topic> {
        Topic::wanted([self.opened, self.updated, self.ended, self.reported])
    }
}

impl From<&Contact> for Wishes {
    fn from(row: &Contact) -> Self {
        Self {
            opened: row.opened,
            updated: row.updated,
            ended: row.ended,
            reported: row.reported,
            digest: row.digest,
        }
    }
}

/// Of which events somebody hears on behalf of a tenant.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = notification_preferences, primary_key(tenant_id, person_id))]
pub struct Preferences {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// Whose they are.
    pub person_id: PersonId,
    /// That an incident began.
    pub opened: bool,
    /// What became known.
    pub updated: bool,
    /// That it is over.
    pub ended: bool,
    /// Why it was.
    pub reported: bool,
    /// Counts changes; 0 of whoever has said nothing.
    pub version: i32,
    /// When they were last changed.
    pub updated_at: Moment,
    /// Updates once a day.
    pub digest: bool,
}

impl Preferences {
    /// Of whoever has said nothing.
    pub fn unsaid(tenant_id: TenantId, person_id: PersonId, now: Moment) -> Self {
        let unsaid = Self {
            tenant_id,
            person_id,
            opened: false,
            updated: false,
            ended: false,
            reported: false,
            version: 0,
            updated_at: now,
            digest: false,
        };
        unsaid.with(Wishes::ALL)
    }

    /// As the rule takes them.
    pub fn wishes(&self) -> Wishes {
        Wishes {
            opened: self.opened,
            updated: self.updated,
            ended: self.ended,
            reported: self.reported,
            digest: self.digest,
        }
    }

    fn with(self, wishes: Wishes) -> Self {
        Self {
            opened: wishes.opened,
            updated: wishes.updated,
            ended: wishes.ended,
            reported: wishes.reported,
            digest: wishes.digest,
            ..self
        }
    }

    /// The next version of them, as the form says.
    pub fn changed(self, form: &NewPreferences, now: Moment) -> Self {
        Self {
            version: self.version.saturating_add(1),
            updated_at: now,
            ..self.with(Wishes::of(&form.topics, form.digest))
        }
    }
}

/// What somebody subscribes to.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = subscriptions, treat_none_as_default_value = false)]
pub struct Subscription {
    /// On whose behalf.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub person_id: PersonId,
    /// This incident, and no other.
    pub incident_id: Option<IncidentId>,
    /// Incidents that hit this service; any when left out.
    pub service: Option<String>,
    /// Incidents that hit this region; any when left out.
    pub region: Option<String>,
    /// Since when.
    pub created_at: Moment,
}

impl Subscription {
    /// To one incident.
    pub fn to_incident(whose: (TenantId, PersonId), incident: IncidentId, now: Moment) -> Self {
        Self {
            incident_id: Some(incident),
            ..Self::to(whose, Place::default(), now)
        }
    }

    /// To incidents somewhere.
    pub fn to((tenant_id, person_id): (TenantId, PersonId), place: Place, now: Moment) -> Self {
        Self {
            tenant_id,
            id: Id::at(now),
            person_id,
            incident_id: None,
            service: place.service,
            region: place.region,
            created_at: now,
        }
    }

    /// Where, of one that is to no incident in particular.
    pub fn place(self) -> Option<Place> {
        let (service, region) = (self.service, self.region);
        self.incident_id.is_none().then_some(Place { service, region })
    }
}

/// Where an incident is, that somebody wants to hear of.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Validate, ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The slug of a service that it hits; any when left out.
    #[serde(default)]
    #[garde(inner(custom(text::slug)))]
    pub service: Option<String>,
    /// The slug of a region that it hits; any when left out.
    #[serde(default)]
    #[garde(inner(custom(text::slug)))]
    pub region: Option<String>,
}

/// What somebody wants to hear of, all of it.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreferences {
    /// Of which events of an incident. Its end goes to whoever was told that it began in any case.
    #[garde(length(max = 4))]
    pub topics: Vec<Topic>,
    /// Of which incidents, besides those one has to do with; `{}` is each that affects one's tenant.
    #[serde(default, deserialize_with = "body::objects")]
    #[garde(length(max = 100), dive)]
    pub subscriptions: Vec<Place>,
    /// `true` for updates once a day, at eight in the morning where one is, or with the mail of what happens before.
    #[serde(default)]
    #[garde(skip)]
    pub digest: bool,
    /// `true` for no status mail at all.
    #[serde(default)]
    #[garde(skip)]
    pub unsubscribed: bool,
}

/// What somebody wants to hear of, as they see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PreferencesView {
    /// Of which events.
    pub topics: Vec<Topic>,
    /// Of which incidents, by where they are.
    pub subscriptions: Vec<Place>,
    /// Of which incidents, one by one.
    pub incidents: Vec<IncidentId>,
    /// Whether one gets updates once a day.
    pub digest: bool,
    /// Whether one gets no status mail at all.
    pub unsubscribed: bool,
    /// Counts changes.
    pub version: i32,
}

impl PreferencesView {
    /// Of these rows.
    pub fn of(preferences: &Preferences, rows: Vec<Subscription>, unsubscribed: bool) -> Self {
        Self {
            topics: preferences.wishes().topics(),
            incidents: rows.iter().filter_map(|row| row.incident_id).collect(),
            subscriptions: rows.into_iter().filter_map(Subscription::place).collect(),
            digest: preferences.digest,
            unsubscribed,
            version: preferences.version,
        }
    }
}
