//! Where the sun is followed to: three sites whose mornings and afternoons, on their own clocks, cover every instant of a
//! year, whichever of them has changed its clocks already. Pure.

use serde_json::{Value, json};

/// A site: two shifts of eight hours, an hour or two apart.
pub struct Site {
    /// Where it is.
    pub city: &'static str,
    /// Its IANA zone.
    pub zone: &'static str,
    /// Local start and end of the early shift.
    early: [&'static str; 2],
    /// The same of the late one.
    late: [&'static str; 2],
}

/// In the order of the sun.
pub const SITES: [Site; 3] = [
    Site {
        city: "Sydney",
        zone: "Australia/Sydney",
        early: ["08:00", "16:00"],
        late: ["09:00", "17:00"],
    },
    Site {
        city: "London",
        zone: "Europe/London",
        early: ["06:00", "14:00"],
        late: ["08:00", "16:00"],
    },
    Site {
        city: "Los Angeles",
        zone: "America/Los_Angeles",
        early: ["08:00", "16:00"],
        late: ["09:00", "17:00"],
    },
];

/// Crews of a site: early, late, and twice the weekend, in turns of a week.
pub const CREWS: usize = 4;

const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri"];
const WEEKEND: &[&str] = &["sat", "sun"];

/// The shifts of a site's people; the first turns are those of the week of `from`.
pub fn shifts(site: &Site, people: &[String], from: &str) -> Vec<Value> {
    let crew = |place: usize| -> Vec<&String> { people.iter().skip(place % CREWS).step_by(CREWS).collect() };
    let kinds = [
        ("early", WEEKDAYS, site.early),
        ("late", WEEKDAYS, site.late),
        ("early at weekends", WEEKEND, site.early),
        ("late at weekends", WEEKEND, site.late),
    ];
    let shift = |(turn, (name, days, [start, end])): (usize, (&str, &[&str], [&str; 2]))| {
        let teams: Vec<_> = (0..CREWS).map(|week| crew(turn + week)).collect();
        json!({
            "name": format!("{} {name}", site.city), "days": days, "start": start, "end": end, "time_zone": site.zone,
            "rotation": { "weeks": 1, "from": from, "teams": teams },
        })
    };
    kinds.into_iter().enumerate().map(shift).collect()
}

/// The shift of specialists at a site: working days only.
pub fn office_hours(site: &Site, people: &[String]) -> Value {
    json!({
        "name": format!("{} specialists", site.city), "days": WEEKDAYS, "start": "09:00", "end": "17:00",
        "time_zone": site.zone, "members": people,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::queues::NewShift;
    use crate::schedule::roster::{Duty, Roster};

    fn people() -> Vec<String> {
        (0..6_u128)
            .map(|n| uuid::Uuid::from_u128(n).to_string())
            .collect()
    }

    #[test]
    fn every_crew_has_one_turn_a_week() {
        let shifts = shifts(&SITES[0], &people(), "2026-01-05");
        for week in 0..CREWS {
            let mut at_work = Vec::new();
            for shift in &shifts {
                at_work.extend(shift["rotation"]["teams"][week].as_array().unwrap());
            }
            let once: BTreeSet<_> = at_work.iter().map(|person| person.as_str().unwrap()).collect();
            assert_eq!((at_work.len(), once.len()), (6, 6), "week {week}");
        }
    }

    /// For five years, with all changes of clocks.
    #[test]
    fn the_sun_never_sets() {
        let from: DateTime<Utc> = "2025-12-29T00:00:00Z".parse().unwrap();
        let mut roster: Roster<crate::db::PersonId> = Roster {
            duties: vec![],
            absences: vec![],
            overrides: vec![],
        };
        for shift in SITES
            .iter()
            .flat_map(|site| shifts(site, &people(), "2025-12-29"))
        {
            let form: NewShift = serde_json::from_value(shift).unwrap();
            let row = form.row(crate::db::Id::at(from.into()), crate::db::Id::at(from.into()));
            for (turn, team) in (0..).zip(form.teams()) {
                roster.duties.push(Duty {
                    shift: row.schedule(turn).unwrap(),
                    members: team.to_vec(),
                });
            }
        }
        let gaps = roster.gaps(1, from, from + TimeDelta::days(5 * 365));
        assert_eq!(gaps, []);
    }
}
