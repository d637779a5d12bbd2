//! WHO works requests: whether work may be given to them, how much, and what they know.
//!
//! Agents are the provider's agents, leads and operators. Here is what is pure: whether somebody fits what a request
//! needs, and has room for it. What somebody has under way is known in `requests`, and so is who is given what.

pub mod actions;
pub mod api;
pub mod store;

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::routing::{Needs, Severity, speaks};
use crate::db::schema::agent_skills;
use crate::db::{Moment, PersonId, text_enum};
use crate::text;

/// The level at which somebody can hold a conversation in a language.
pub const CONVERSES: i16 = 2;

text_enum! {
    /// Whether somebody takes work.
    #[derive(Default)]
    Presence {
        /// Claims, and is given work.
        #[default]
        Available = "available",
        /// Claims, and is given nothing.
        Busy = "busy",
        /// Neither.
        Away = "away",
    }
}

impl Presence {
    /// Whether work is pushed to somebody.
    pub fn is_given_work(self) -> bool {
        self == Self::Available
    }

    /// Whether somebody may claim.
    pub fn claims(self) -> bool {
        self != Self::Away
    }
}

text_enum! {
    /// What kind of thing somebody knows.
    #[derive(Default)]
    SkillKind {
        /// A subject: `dns`.
        #[default]
        Skill = "skill",
        /// A language: `pt-br`.
        Language = "language",
    }
}

/// Something that somebody knows, and how well.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Validate,
    ToSchema,
    Queryable,
    Selectable,
)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = agent_skills)]
pub struct Skill {
    /// A subject, or a language.
    #[serde(default)]
    #[garde(skip)]
    pub kind: SkillKind,
    /// A slug, or a language tag, in lower case.
    #[garde(custom(named(self.kind)))]
    pub name: String,
    /// From 1, a beginning, to 5, nobody knows it better.
    #[garde(range(min = 1, max = 5))]
    pub level: i16,
}

/// A check of a name that depends on what it names.
fn named(kind: SkillKind) -> impl FnOnce(&str, &()) -> garde::Result {
    move |name, context| match kind {
        SkillKind::Skill => text::slug(name, context),
        SkillKind::Language => text::locale(name, context),
    }
}

/// One of the provider's who works requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The person.
    pub person_id: PersonId,
    /// Whether it takes work.
    pub presence: Presence,
    /// How much it has at most, in weights of severities; no limit without one.
    pub capacity: Option<i32>,
    /// What it knows, by kind and name.
    pub skills: Vec<Skill>,
    /// Counts changes; 0 before there was any.
    pub version: i32,
    /// When it last changed.
    pub updated_at: Option<Moment>,
}

/// How much of somebody's capacity a request takes.
pub fn weight(severity: Severity) -> i32 {
    match severity {
        Severity::A => 4,
        Severity::B => 3,
        Severity::C => 2,
        Severity::D => 1,
    }
}

impl Agent {
    /// Somebody of whom nothing was said yet: available, without limit, without skills.
    pub fn new(person_id: PersonId) -> Self {
        Self {
            person_id,
            presence: Presence::default(),
            capacity: None,
            skills: Vec::new(),
            version: 0,
            updated_at: None,
        }
    }

    /// Whether it knows what a request needs: each skill at its level, and the language well enough to converse.
    pub fn fits(&self, needs: &Needs) -> bool {
        let is_skilled = |(name, least): (&String, &i16)| {
            self.skills
                .iter()
                .any(|skill| skill.kind == SkillKind::Skill && skill.name == *name && skill.level >= *least)
        };
        let has_language = |wanted: &String| {
            self.skills.iter().any(|skill| {
                skill.kind == SkillKind::Language && skill.level >= CONVERSES && meets(&skill.name, wanted)
            })
        };
        needs.skills.iter().all(is_skilled) && needs.language.iter().all(has_language)
    }

    /// Whether a request of this severity fits beside what it has: `load` is the sum of the weights of that.
    pub fn may_take(&self, load: i32, severity: Severity) -> bool {
        self.capacity
            .is_none_or(|capacity| load.saturating_add(weight(severity)) <= capacity)
    }
}

/// Whether a language that is spoken meets one that is wanted: whoever wants `de` is content with `de-CH`, and who wants
/// `de-CH` with `de`; but `pt-PT` is not `pt-BR`.
pub fn meets(spoken: &str, wanted: &str) -> bool {
    speaks(spoken, wanted) || speaks(wanted, spoken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Id;

    fn knows(kind: SkillKind, name: &str, level: i16) -> Skill {
        let name = name.to_owned();
        Skill { kind, name, level }
    }

    fn agent(skills: &[Skill], capacity: Option<i32>) -> Agent {
        Agent {
            skills: skills.to_vec(),
            capacity,
            ..Agent::new(Id::from_uuid(uuid::Uuid::from_u128(1)))
        }
    }

    #[test]
    fn an_agent_fits_who_has_every_skill_at_its_level_and_the_language() {
        let ada = agent(
            &[
                knows(SkillKind::Skill, "dns", 3),
                knows(SkillKind::Skill, "tls", 1),
                // A skill of the name of a language is none.
                knows(SkillKind::Skill, "fr", 5),
                knows(SkillKind::Language, "de", 5),
                knows(SkillKind::Language, "pt-br", 2),
                knows(SkillKind::Language, "it", 1),
            ],
            None,
        );
        for (skills, language, fits) in [
            (vec![], None, true),
            (vec![("dns", 3)], None, true),
            (vec![("dns", 4)], None, false),
            (vec![("dns", 1), ("tls", 1)], None, true),
            (vec![("dns", 1), ("tls", 2)], None, false),
            (vec![("smtp", 1)], None, false),
            (vec![("de", 1)], None, false),
            (vec![], Some("de"), true),
            (vec![], Some("DE"), true),
            (vec![], Some("de-CH"), true),
            (vec![], Some("den"), false),
            (vec![], Some("pt"), true),
            (vec![], Some("pt-BR"), true),
            (vec![], Some("pt-PT"), false),
            // One who only begins to speak it is no help.
            (vec![], Some("it"), false),
            (vec![], Some("fr"), false),
            (vec![("dns", 2)], Some("de"), true),
            (vec![("dns", 5)], Some("de"), false),
            (vec![("dns", 2)], Some("en"), false),
        ] {
            let needs = Needs {
                skills: skills
                    .iter()
                    .map(|(name, level)| ((*name).to_owned(), *level))
                    .collect(),
                language: language.map(str::to_owned),
            };
            assert_eq!(ada.fits(&needs), fits, "{needs:?}");
        }
        assert!(agent(&[], None).fits(&Needs::default()));
    }

    #[test]
    fn an_agent_takes_what_its_capacity_has_room_for() {
        for (capacity, load, severity, takes) in [
            (None, 1_000_000, Severity::A, true),
            (None, i32::MAX, Severity::A, true),
            (Some(4), 0, Severity::A, true),
            (Some(3), 0, Severity::A, false),
            (Some(3), 0, Severity::B, true),
            (Some(10), 6, Severity::A, true),
            (Some(10), 7, Severity::A, false),
            (Some(10), 7, Severity::B, true),
            (Some(10), 9, Severity::D, true),
            (Some(10), 9, Severity::C, false),
            // It was lowered meanwhile.
            (Some(10), 12, Severity::D, false),
            (Some(10), i32::MAX, Severity::A, false),
        ] {
            let found = agent(&[], capacity).may_take(load, severity);
            assert_eq!(found, takes, "{capacity:?} {load} {severity}");
        }
    }

    #[test]
    fn who_is_busy_claims_and_is_given_nothing() {
        let of = |presence: Presence| (presence.claims(), presence.is_given_work());
        assert_eq!(
            Presence::ALL.iter().copied().map(of).collect::<Vec<_>>(),
            [(true, true), (true, false), (false, false)]
        );
    }

    #[test]
    fn a_skill_has_a_name_of_its_kind_and_a_level() {
        for (kind, name, level, fits) in [
            (SkillKind::Skill, "dns", 1, true),
            (SkillKind::Skill, "DNS", 1, false),
            (SkillKind::Skill, "pt-br", 0, false),
            (SkillKind::Skill, "dns", 6, false),
            (SkillKind::Language, "pt-BR", 5, true),
            (SkillKind::Language, "x", 5, false),
            (SkillKind::Language, "de_CH", 5, false),
        ] {
            assert_eq!(
                knows(kind, name, level).validate().is_ok(),
                fits,
                "{kind} {name} {level}"
            );
        }
    }
}
