//! Who takes part: the catalog, the customers, and the people at the desk. All of them are made up.

/// One person, or one shared mailbox.
pub struct Person {
    /// As in the address book.
    pub name: &'static str,
    /// By which it is known everywhere.
    pub email: &'static str,
}

/// A customer organisation.
pub struct Customer {
    /// Its name.
    pub name: &'static str,
    /// Slug of the one region in which it is served.
    pub region: &'static str,
    /// Its support plan.
    pub plan: &'static str,
    /// Where its people are.
    pub time_zone: &'static str,
    /// Its administrator.
    pub admin: Person,
    /// Who hears of incidents without asking.
    pub contacts: &'static [Person],
}

/// A place where agents work, and its working day.
pub struct Site {
    /// The place.
    pub city: &'static str,
    /// Its IANA zone.
    pub time_zone: &'static str,
    /// Local time at which the shift starts.
    pub start: &'static str,
    /// Local time at which it ends.
    pub end: &'static str,
    /// Who works there.
    pub agents: &'static [Person],
}

const fn person(name: &'static str, email: &'static str) -> Person {
    Person { name, email }
}

/// One for all, so that it can be said aloud.
pub const PASSWORD: &str = "all-clear-2010";

/// Slugs and names of the services.
pub const SERVICES: &[(&str, &str)] = &[
    ("exchange-online", "Exchange Online"),
    ("sharepoint-online", "SharePoint Online"),
    ("sign-in", "Sign-in"),
    ("admin-center", "Administrative portals"),
];

/// Slugs and names of the regions.
pub const REGIONS: &[(&str, &str)] = &[
    ("north-america", "North America"),
    ("europe", "Europe"),
    ("asia-pacific", "Asia Pacific"),
];

/// Makes tenants and accounts.
pub const OPERATOR: Person = person("Operator", "operator@desk.example");

/// Opens incidents and speaks for the provider.
pub const INCIDENT_MANAGER: Person = person("Marta Lindqvist", "marta@desk.example");

/// Premium, in North America.
pub const CONTOSO: Customer = Customer {
    name: "Contoso",
    region: "north-america",
    plan: "premium",
    time_zone: "America/New_York",
    admin: person("Bob Ellery", "bob@contoso.example"),
    contacts: &[
        person("Contoso IT", "it@contoso.example"),
        person("Ines Duarte", "ines@contoso.example"),
    ],
};

/// In North America.
pub const FABRIKAM: Customer = Customer {
    name: "Fabrikam",
    region: "north-america",
    plan: "standard",
    time_zone: "America/Chicago",
    admin: person("Carol Weiss", "carol@fabrikam.example"),
    contacts: &[person("Fabrikam Service Desk", "service-desk@fabrikam.example")],
};

/// In North America; its people prefer the telephone.
pub const NORTHWIND: Customer = Customer {
    name: "Northwind Traders",
    region: "north-america",
    plan: "standard",
    time_zone: "America/Los_Angeles",
    admin: person("Dan Okafor", "dan@northwind.example"),
    contacts: &[person("Northwind Office", "office@northwind.example")],
};

/// In Europe.
pub const ADATUM: Customer = Customer {
    name: "Adatum",
    region: "europe",
    plan: "premium",
    time_zone: "Europe/Berlin",
    admin: person("Eva Brandt", "eva@adatum.example"),
    contacts: &[person("Adatum IT", "it@adatum.example")],
};

/// In Asia Pacific.
pub const TAILSPIN: Customer = Customer {
    name: "Tailspin Toys",
    region: "asia-pacific",
    plan: "standard",
    time_zone: "Asia/Tokyo",
    admin: person("Kenji Mori", "kenji@tailspin.example"),
    contacts: &[person("Tailspin Systems", "systems@tailspin.example")],
};

/// All customers.
pub const CUSTOMERS: [&Customer; 5] = [&CONTOSO, &FABRIKAM, &NORTHWIND, &ADATUM, &TAILSPIN];

/// Somebody at Northwind who has no account and takes the telephone.
pub const CALLER: Person = person("Maria Santos", "maria@northwind.example");

/// Somebody at Contoso who wants to be kept informed.
pub const WATCHER: Person = person("Noor Haddad", "noor@contoso.example");

/// Three sites that follow the sun. Whatever daylight saving does in two of them, the three days of nine hours
/// meet: in UTC Bangalore works 23:30–08:30, Dublin from 07:00 or 08:00 to 16:00 or 17:00, Redmond from 15:00 or
/// 16:00 to 00:00 or 01:00, and when only one of the two has changed its clocks, it is Redmond, to the earlier.
pub const SITES: &[Site] = &[
    Site {
        city: "Bangalore",
        time_zone: "Asia/Kolkata",
        start: "05:00",
        end: "14:00",
        agents: &[
            person("Anjali Rao", "anjali@desk.example"),
            person("Vikram Shetty", "vikram@desk.example"),
        ],
    },
    Site {
        city: "Dublin",
        time_zone: "Europe/Dublin",
        start: "08:00",
        end: "17:00",
        agents: &[
            person("Aoife Byrne", "aoife@desk.example"),
            person("Cormac Nolan", "cormac@desk.example"),
        ],
    },
    Site {
        city: "Redmond",
        time_zone: "America/Los_Angeles",
        start: "08:00",
        end: "17:00",
        agents: &[
            person("Grace Kim", "grace@desk.example"),
            person("Luis Ortega", "luis@desk.example"),
        ],
    },
];

/// The queue of mail and documents.
pub const MESSAGING: &str = "Messaging, tier 1";

/// The queue of sign-in and the portals; it also takes what no other rule takes.
pub const ACCESS: &str = "Sign-in and portals, tier 1";
