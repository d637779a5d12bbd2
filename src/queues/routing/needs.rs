//! What a request asks of whoever works on it: skills with their least level, and a language.
//!
//! A rule demands them; as the request is filed they are written onto it, and later rules change nothing of that.

use std::collections::BTreeMap;

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text;

/// So many skills a rule may demand.
const MOST: usize = 20;

/// What a request needs; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Needs {
    /// The least level of each skill, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, i16>,
    /// The language to be spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// What a rule demands for the requests that it routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Demands {
    /// The least level, 1 to 5, of each skill, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[garde(length(max = MOST), custom(levels))]
    pub skills: BTreeMap<String, i16>,
    /// Whether the contact's language must be spoken.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[garde(skip)]
    pub language: bool,
}

impl Demands {
    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a request needs whose contact has this language.
    pub fn of(&self, language: &str) -> Needs {
        Needs {
            skills: self.skills.clone(),
            language: self.language.then(|| language.to_owned()),
        }
    }
}

fn levels(skills: &BTreeMap<String, i16>, _: &()) -> garde::Result {
    for (name, level) in skills {
        text::slug(name, &()).map_err(|error| garde::Error::new(format!("the name of a skill {error}")))?;
        if !(1..=5).contains(level) {
            let detail = format!("the level of `{name}` must be from 1 to 5");
            return Err(garde::Error::new(detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_demanded_is_what_is_needed_and_in_the_language_of_the_contact() {
        for (demands, needs) in [
            (json!({}), json!({})),
            (json!({"language": false, "skills": {}}), json!({})),
            (json!({"language": true}), json!({"language": "pt-BR"})),
            (
                json!({"language": true, "skills": {"dns": 2, "tls": 5}}),
                json!({"language": "pt-BR", "skills": {"dns": 2, "tls": 5}}),
            ),
        ] {
            let demands: Demands = serde_json::from_value(demands).unwrap();
            let found = demands.of("pt-BR");
            assert_eq!(serde_json::to_value(&found).unwrap(), needs);
            assert_eq!(demands.is_empty(), needs == json!({}));
            assert_eq!(serde_json::from_value::<Needs>(needs).unwrap(), found);
        }
    }

    #[test]
    fn skills_have_names_and_levels_and_are_not_many() {
        let many: Value = (0..21).map(|n| (format!("skill-{n}"), json!(1))).collect();
        for (skills, fits) in [
            (json!({"dns": 1, "exchange-online": 5}), true),
            (json!({"dns": 0}), false),
            (json!({"dns": 6}), false),
            (json!({"DNS": 3}), false),
            (json!({"": 3}), false),
            (many, false),
        ] {
            let demands: Demands = serde_json::from_value(json!({"skills": skills})).unwrap();
            assert_eq!(demands.validate().is_ok(), fits, "{skills}");
        }
    }
}
