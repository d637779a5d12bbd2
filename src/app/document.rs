//! The OpenAPI 3.1 document, from the code; and what is true of every operation, said once.

use actix_web::App;
use utoipa::PartialSchema as _;
use utoipa::ToSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
    Required, ResponseBuilder,
};
use utoipa_actix_web::{AppExt as _, scope};

use crate::identity;
use crate::problem::ProblemView;

/// The document.
pub fn document() -> OpenApi {
    let (_, mut document) = App::new()
        .into_utoipa_app()
        .openapi(cover())
        .service(identity::api::jwks)
        .service(super::healthz)
        .service(super::readyz)
        .service(super::metrics)
        .service(scope::scope("/v1").configure(super::routes))
        .split_for_parts();
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![(ProblemView::name().into_owned(), ProblemView::schema())];
    ProblemView::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let components = components.clone();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        say_problems(operation);
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(required(body, &components));
        }
    }
    document
}

fn cover() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Allclear")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The support desk behind a hosted service. Errors are RFC 9457 problems with a stable `code`.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT").build()))
        .build();
    let mut components = Components::new();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Every operation may be refused, and may fail.
fn say_problems(operation: &mut Operation) {
    for (status, description) in [
        ("4XX", "it was refused"),
        ("5XX", "it failed, or the service is busy"),
    ] {
        let schema = Ref::from_schema_name(ProblemView::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let problem = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build();
        operation
            .responses
            .responses
            .insert(status.to_owned(), problem.into());
    }
}

/// A body of which nothing is needed may be left out.
fn required(body: &RequestBody, components: &Components) -> Required {
    let is_needed = body.content.values().any(|content| match content {
        RefOr::T(content) => content
            .schema
            .as_ref()
            .is_some_and(|schema| needs_something(schema, components)),
        RefOr::Ref(_) => true,
    });
    if is_needed {
        Required::True
    } else {
        Required::False
    }
}

fn needs_something(schema: &RefOr<Schema>, components: &Components) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => !object.required.is_empty(),
        RefOr::T(_) => true,
        RefOr::Ref(link) => {
            let name = link.ref_location.rsplit('/').next().unwrap_or_default();
            components
                .schemas
                .get(name)
                .is_none_or(|schema| needs_something(schema, components))
        }
    }
}
