//! How every case is, as far as the people of the simulation know. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::stage::Desk;

/// Where a case is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Not filed yet.
    #[default]
    Nowhere,
    /// In the line of its desk.
    Line,
    /// In somebody's.
    Hands(usize),
    /// With the customer.
    Customer,
    /// It waits for the end of the incident.
    Held,
    /// It is resolved.
    Done,
}

impl Place {
    fn is_open(self) -> bool {
        !matches!(self, Self::Nowhere | Self::Done)
    }
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The id of its request.
    pub id: String,
    /// In whose line it is, or was last.
    pub desk: Desk,
    /// Where it is.
    pub place: Place,
    /// Counts the hands that it was in.
    pub turn: u32,
    /// Whether the customer has had an answer.
    pub is_answered: bool,
    /// Whether the customer was asked.
    pub was_asked: bool,
    /// Whether it was reopened.
    pub was_reopened: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Cases {
    all: Vec<Case>,
    known: HashMap<String, usize>,
    lines: [BTreeSet<usize>; 2],
    hands: BTreeMap<usize, usize>,
    open: u32,
    none: Case,
}

impl Cases {
    /// So many, none of them filed.
    pub fn new(count: usize) -> Self {
        let none = Case {
            id: String::new(),
            desk: Desk::Front,
            place: Place::Nowhere,
            turn: 0,
            is_answered: false,
            was_asked: false,
            was_reopened: false,
        };
        Self {
            all: vec![none.clone(); count],
            known: HashMap::new(),
            lines: [BTreeSet::new(), BTreeSet::new()],
            hands: BTreeMap::new(),
            open: 0,
            none,
        }
    }

    /// A case.
    pub fn of(&self, place: usize) -> &Case {
        self.all.get(place).unwrap_or(&self.none)
    }

    /// A case, to be changed in anything but where it is.
    pub fn of_mut(&mut self, place: usize) -> &mut Case {
        self.all.get_mut(place).unwrap_or(&mut self.none)
    }

    /// The case of a request.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.known.get(id).copied()
    }

    /// A case was filed.
    pub fn filed(&mut self, place: usize, id: &str, desk: Desk) {
        self.known.insert(id.to_owned(), place);
        let case = self.of_mut(place);
        (case.id, case.desk) = (id.to_owned(), desk);
    }

    /// What is in the line of a desk, in the order of filing.
    pub fn line(&self, desk: Desk) -> &BTreeSet<usize> {
        let [front, specialists] = &self.lines;
        match desk {
            Desk::Front => front,
            Desk::Specialists => specialists,
        }
    }

    /// What is in somebody's hands, and whose.
    pub fn in_hands(&self) -> Vec<(usize, usize)> {
        self.hands
            .iter()
            .map(|(place, person)| (*place, *person))
            .collect()
    }

    /// How many are open.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// What is open.
    pub fn all_open(&self) -> Vec<usize> {
        (0..)
            .zip(&self.all)
            .filter(|(_, case)| case.place.is_open())
            .map(|(place, _)| place)
            .collect()
    }

    /// A case is somewhere else now; where it was.
    pub fn put(&mut self, place: usize, to: Place) -> Place {
        let (was, desk) = (self.of(place).place, self.of(place).desk);
        let [front, specialists] = &mut self.lines;
        let line = match desk {
            Desk::Front => front,
            Desk::Specialists => specialists,
        };
        match to {
            Place::Line => line.insert(place),
            _ => line.remove(&place),
        };
        match to {
            Place::Hands(person) => self.hands.insert(place, person),
            _ => self.hands.remove(&place),
        };
        match (was.is_open(), to.is_open()) {
            (false, true) => self.open += 1,
            (true, false) => self.open -= 1,
            _ => {}
        }
        let case = self.of_mut(place);
        case.place = to;
        case.turn += 1;
        was
    }

    /// A waiting case was moved to the line of another desk.
    pub fn moved(&mut self, place: usize, to: Desk) {
        for line in &mut self.lines {
            line.remove(&place);
        }
        self.of_mut(place).desk = to;
        self.put(place, Place::Line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_in_one_place() {
        let mut cases = Cases::new(3);
        cases.filed(1, "one", Desk::Specialists);
        assert_eq!(cases.put(1, Place::Line), Place::Nowhere);
        cases.filed(2, "two", Desk::Front);
        cases.put(2, Place::Line);
        assert_eq!((cases.find("one"), cases.open()), (Some(1), 2));
        assert_eq!(cases.line(Desk::Specialists).len(), 1);
        cases.moved(1, Desk::Front);
        assert_eq!(
            (cases.line(Desk::Specialists).len(), cases.line(Desk::Front).len()),
            (0, 2)
        );
        cases.put(1, Place::Hands(7));
        assert_eq!(
            (cases.in_hands(), cases.line(Desk::Front).len()),
            (vec![(1, 7)], 1)
        );
        assert_eq!(cases.put(1, Place::Done), Place::Hands(7));
        assert_eq!(
            (cases.open(), cases.all_open(), cases.in_hands()),
            (1, vec![2], vec![])
        );
        cases.put(1, Place::Line);
        assert_eq!((cases.open(), cases.of(1).turn), (2, 5));
        assert_eq!(cases.of(99).place, Place::Nowhere);
    }
}
