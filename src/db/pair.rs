//! Where a walk through a table goes on.

/// How two columns, taken as one, compare with two values: `pair!("table.one", "table.other" > one: Type, other: Type)`.
///
/// It is one comparison of rows, by which an index over both is entered at the place; with an `OR` of two comparisons SQLite
/// would begin anew each time.
macro_rules! pair {
    ($one:literal, $other:literal $than:tt $first:ident: $first_type:ty, $second:ident: $second_type:ty) => {
        diesel::dsl::sql::<diesel::sql_types::Bool>(concat!(
            "(",
            $one,
            ", ",
            $other,
            ") ",
            stringify!($than),
            " ("
        ))
        .bind::<$first_type, _>($first)
        .sql(", ")
        .bind::<$second_type, _>($second)
        .sql(")")
    };
}
pub(crate) use pair;
