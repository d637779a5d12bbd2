//! A desk under load: how fast agents claim, how late marks are, how long reports and resolves take, how fast mail leaves.
//! `scripts/bench/load` and `scripts/bench/mail` run it.
//!
//! `cargo bench --bench load -- ENGINE WHAT [REQUESTS]`: `ENGINE` is `sqlite` or `postgres` (then
//! `ALLCLEAR_TEST_POSTGRES` names a server), `WHAT` is `claims`, `fanout`, `marks`, `reports` or `mail` (then `REQUESTS` are
//! messages, and where `smtp-sink` listens and what `smtp-source` is called follow). The server runs in this process,
//! with its background; its rows are made past it, from a request that was filed over the API.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod claims;
mod desk;
mod fanout;
mod fill;
mod mail;
mod marks;
mod reports;

use std::time::Duration;

use desk::Desk;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [engine, what, rest @ ..] = args.as_slice() else {
        return;
    };
    let requests = rest.first().map(|count| count.parse().unwrap());
    match what.as_str() {
        "claims" => claims::measure(Desk::open(engine).await, requests.unwrap_or(100_000)).await,
        "fanout" => fanout::measure(Desk::open_still(engine).await, requests.unwrap_or(100_000)).await,
        "marks" => marks::measure(Desk::open(engine).await, requests.unwrap_or(100_000)).await,
        "reports" => reports::measure(Desk::open(engine).await, requests.unwrap_or(1_000_000)).await,
        "mail" => {
            let [_, sink, source] = rest else {
                panic!("mail needs a count, a sink and a source")
            };
            mail::measure(Desk::open(engine).await, requests.unwrap_or(20_000), sink, source).await;
        }
        _ => panic!("{what} is none of claims, fanout, marks, reports, mail"),
    }
}

/// The value that so many hundredths of all do not exceed.
fn percentile<T: Copy + Ord>(sorted: &[T], hundredths: usize) -> T {
    sorted[(sorted.len() * hundredths).div_ceil(100).max(1) - 1]
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
