//! actix-web: routes, principals, problem details, OpenAPI.
