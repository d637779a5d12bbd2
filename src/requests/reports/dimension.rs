//! What a report tells apart. Pure.

use serde::Deserialize;

use crate::db::text_enum;

text_enum! {
    /// By what cycles are told apart.
    Dimension {
        /// What was measured.
        Clock = "clock",
        /// The severity in the end.
        Severity = "severity",
        /// The plan of the tenant when the cycle began.
        Plan = "plan",
        /// Whose request it was.
        Tenant = "tenant",
        /// Where it was in the end.
        Queue = "queue",
        /// Which shifts of that queue somebody was on duty by when it stopped.
        Shift = "shift",
        /// The day on which it stopped, UTC.
        Day = "day",
        /// The month in which it stopped, UTC.
        Month = "month",
    }
}

/// One dimension or more, each once, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct By(Vec<Dimension>);

impl By {
    /// These dimensions.
    pub fn these(dimensions: &[Dimension]) -> Self {
        Self(dimensions.to_vec())
    }

    /// The dimensions, in order.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.0
    }

    /// Whether this one is among them.
    pub fn has(&self, dimension: Dimension) -> bool {
        self.0.contains(&dimension)
    }
}

impl Default for By {
    fn default() -> Self {
        Self::these(&[Dimension::Clock])
    }
}

impl TryFrom<String> for By {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut dimensions = Vec::new();
        for word in text.split(',') {
            let dimension = Dimension::parse(word).ok_or_else(|| {
                let known: Vec<&str> = Dimension::ALL.iter().map(|known| known.as_str()).collect();
                format!("`{word}` is none of {}", known.join(", "))
            })?;
            if dimensions.contains(&dimension) {
                return Err(format!("`{word}` is there twice"));
            }
            dimensions.push(dimension);
        }
        Ok(Self(dimensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_come_with_commas_and_each_once() {
        let read = |text: &str| By::try_from(text.to_owned());
        assert_eq!(read("clock"), Ok(By::default()));
        let both = By::these(&[Dimension::Day, Dimension::Tenant]);
        assert_eq!(read("day,tenant"), Ok(both));
        for wrong in ["", "clock,", "clock, day", "CLOCK", "clock,day,clock", "weather"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
