//! A route of actix-web that answers a constant: what a read over HTTP is compared with.
//!
//! `cargo bench --bench constant_route -- PORT BYTES` serves `BYTES` bytes on every path until it is ended.
#![allow(missing_docs, clippy::unwrap_used)]

use actix_web::{App, HttpResponse, HttpServer, web};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(port) = args.next() else { return };
    let bytes: usize = args.next().unwrap().parse().unwrap();
    let answer = "x".repeat(bytes);
    let app = move || {
        let answer = answer.clone();
        App::new().default_service(web::to(move || {
            let answer = answer.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(answer) }
        }))
    };
    let server = HttpServer::new(app).bind(("127.0.0.1", port.parse().unwrap()));
    server.unwrap().run().await.unwrap();
}
