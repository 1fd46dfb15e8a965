//! The table of routes: it drives the router, the `Allow` header and the OpenAPI document.
//!
//! The busiest routes stand first, because the router tries them in this order.

use actix_web::guard::{self, Any};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};

use crate::address;
use crate::allowed::{Right, right_of};
use crate::correlation;
use crate::problem::Problem;

/// A route's path as metrics and logs show it: the pattern, never an id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteName(pub(crate) &'static str);

/// Builds from one table: the router, the documented paths, and the list that a test compares with them. Sockets are no
/// requests with an answer: another document (`asyncapi`) has them.
macro_rules! routes {
    (
        $($path:literal allows $allowed:literal { $($method:ident $module:ident :: $handler:ident,)+ })*
        sockets:
        $($socket:literal allows $joined:literal { $($socket_method:ident $socket_module:ident :: $joiner:ident,)+ })*
        without a login:
        $($open:literal allows $opened:literal { $($open_method:ident $open_module:ident :: $opener:ident,)+ })*
        pages without a login:
        $($page:literal allows $paged:literal { $($page_method:ident $page_module:ident :: $pager:ident,)+ })*
    ) => {
        /// Registers every route.
        pub(crate) fn configure(config: &mut ServiceConfig) {
            $(config.service(
                resource($path, || Problem::NoSuchMethod { allowed: $allowed })
                    $(.route($method().to(crate::$module::$handler)))+,
            );)*
            $(config.service(
                resource($socket, || Problem::NoSuchMethod { allowed: $joined })
                    $(.route($socket_method().to(crate::$socket_module::$joiner)))+,
            );)*
            $(config.service(
                resource($open, || Problem::NoSuchMethod { allowed: $opened })
                    $(.route($open_method().to(crate::$open_module::$opener)))+,
            );)*
            $(config.service(
                resource($page, || Problem::NoSuchMethod { allowed: $paged })
                    $(.route($page_method().to(crate::$page_module::$pager)))+,
            );)*
            config.default_service(web::to(no_such_route));
        }

        /// Whether a path is answered without a login.
        pub(crate) fn is_open(path: &str) -> bool {
            matches!(path, $($open |)* $($page)|*)
        }

        /// Path and methods of every route of the document.
        pub(crate) const TABLE: &[(&str, &str)] = &[$(($path, $allowed),)* $(($open, $opened),)*];

        /// Path of every WebSocket.
        pub(crate) const SOCKETS: &[&str] = &[$($socket,)*];

        /// Method and path of every route that asks for a login, with the right that its endpoint demands. One that
        /// demands none does not compile.
        pub(crate) fn rights() -> Vec<(&'static str, &'static str, Right)> {
            vec![
                $($((stringify!($method), $path, right_of(crate::$module::$handler)),)+)*
                $($((stringify!($socket_method), $socket, right_of(crate::$socket_module::$joiner)),)+)*
            ]
        }

        /// The paths part of the document.
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($(crate::$module::$handler,)+)* $($(crate::$open_module::$opener,)+)*))]
        pub(crate) struct Documented;
    };
}

routes! {
    "/api/v2/tasks" allows "POST, GET, HEAD" { post submit_task::submit_task, get list_tasks::list_tasks, }
    "/api/v2/leases/complete" allows "POST" { post complete_leases::complete_leases, }
    "/api/v2/tasks/bulk" allows "POST" { post submit_many::submit_many, }
    "/api/v2/agents/{id}/lease" allows "POST" { post lease::lease, }
    "/api/v2/tasks/{id}/complete" allows "POST" { post complete_task::complete_task, }
    "/api/v2/tasks/{id}/heartbeat" allows "POST" { post heartbeat::heartbeat, }
    "/api/v2/tasks/{id}/output" allows "POST, GET, HEAD" {
        post append_output::append_output, get list_output::list_output,
    }
    "/api/v2/tasks/{id}/fail" allows "POST" { post fail_task::fail_task, }
    "/api/v2/tasks/{id}" allows "GET, HEAD, PATCH" {
        get show_task::show_task, patch patch_task::patch_task,
    }
    "/api/v2/tasks/{id}/attempts" allows "GET, HEAD" { get list_attempts::list_attempts, }
    "/api/v2/tasks/{id}/events" allows "GET, HEAD" { get list_task_events::list_task_events, }
    "/api/v2/tasks/{id}/explain" allows "GET, HEAD" { get explain_task::explain_task, }
    "/api/v2/tasks/{id}/cancel" allows "POST" { post cancel_task::cancel_task, }
    "/api/v2/tasks/{id}/retry" allows "POST" { post retry_task::retry_task, }
    "/api/v2/agents" allows "POST, GET, HEAD" {
        post register_agent::register_agent, get list_agents::list_agents,
    }
    "/api/v2/agents/{id}" allows "GET, HEAD, PATCH, DELETE" {
        get show_agent::show_agent, patch patch_agent::patch_agent, delete remove_agent::remove_agent,
    }
    "/api/v2/agents/{id}/drain" allows "POST" { post drain_agent::drain_agent, }
    "/api/v2/agents/{id}/resume" allows "POST" { post resume_agent::resume_agent, }
    "/api/v2/agents/{id}/restart" allows "POST" { post restart_agent::restart_agent, }
    "/api/v2/workspaces" allows "GET, HEAD" { get list_workspaces::list_workspaces, }
    "/api/v2/workspaces/prune" allows "POST" { post prune_workspaces::prune_workspaces, }
    "/api/v2/queues" allows "GET, HEAD" { get list_queues::list_queues, }
    "/api/v2/queues/{name}" allows "GET, HEAD, PUT" { get show_queue::show_queue, put put_queue::put_queue, }
    "/api/v2/queues/{name}/pause" allows "POST" { post pause_queue::pause_queue, }
    "/api/v2/queues/{name}/resume" allows "POST" { post resume_queue::resume_queue, }
    "/api/v2/dead-letters" allows "GET, HEAD" { get list_dead_letters::list_dead_letters, }
    "/api/v2/dead-letters/redrive" allows "POST" { post redrive::redrive, }
    "/api/v2/events" allows "GET, HEAD" { get list_events::list_events, }
    "/api/v2/events/stream" allows "GET, HEAD" { get stream_events::stream_events, }
    "/api/dashboard/websocket/limits" allows "GET, HEAD" { get live_limits::show_limits, }
    "/api/dashboard/websocket/contract" allows "GET, HEAD" { get live_contract::show_contract, }
    "/api/dashboard/websocket/stats" allows "GET, HEAD" { get live_stats::show_stats, }
    "/api/dashboard/websocket/health" allows "GET, HEAD" { get live_health::show_live_health, }
    "/api/dashboard/metrics/websockets" allows "GET, HEAD" { get live_metrics::show_live_metrics, }
    "/api/dashboard/websocket/broadcast" allows "POST" { post live_broadcast::broadcast, }
    "/api/dashboard/websocket/disconnect/{id}" allows "POST" { post live_disconnect::disconnect, }
    "/api/v2/system" allows "GET, HEAD" { get show_system::show_system, }
    "/api/v2/system/actors" allows "GET, HEAD" { get list_actors::list_actors, }
    "/api/v2/system/nodes" allows "GET, HEAD" { get list_nodes::list_nodes, }
    "/api/v2/monitoring/performance" allows "GET, HEAD" { get show_performance::show_performance, }
    "/api/v2/auth/keys" allows "POST, GET, HEAD" {
        post create_api_key::create_api_key, get list_api_keys::list_api_keys,
    }
    "/api/v2/auth/keys/{id}" allows "DELETE" { delete remove_api_key::remove_api_key, }
    sockets:
    "/api/v2/agents/{id}/session" allows "GET, HEAD" { get work_open::open_session, }
    "/api/dashboard/ws/dashboard" allows "GET, HEAD" { get watch::watch_dashboard, }
    "/api/dashboard/ws/agents" allows "GET, HEAD" { get watch::watch_agents, }
    "/api/dashboard/ws/coordination" allows "GET, HEAD" { get watch::watch_coordination, }
    "/api/dashboard/ws/tasks" allows "GET, HEAD" { get watch::watch_tasks, }
    "/api/dashboard/ws/system" allows "GET, HEAD" { get watch::watch_system, }
    without a login:
    "/health" allows "GET, HEAD" { get health::show_health, }
    "/health/live" allows "GET, HEAD" { get health::show_live, }
    "/health/ready" allows "GET, HEAD" { get health::show_ready, }
    "/metrics" allows "GET, HEAD" { get health::show_metrics, }
    "/api/v2/openapi.json" allows "GET, HEAD" { get openapi::show_openapi, }
    "/api/asyncapi.json" allows "GET, HEAD" { get asyncapi::show_asyncapi, }
    pages without a login:
    "/" allows "GET, HEAD" { get front_page::show_page, }
    "/page.js" allows "GET, HEAD" { get front_page::show_script, }
    "/page.css" allows "GET, HEAD" { get front_page::show_style, }
    "/api/docs" allows "GET, HEAD" { get docs_page::show_page, }
    "/api/docs/page.js" allows "GET, HEAD" { get docs_page::show_script, }
    "/api/docs/page.css" allows "GET, HEAD" { get docs_page::show_style, }
}

fn resource(path: &'static str, wrong_method: fn() -> Problem) -> Resource {
    web::resource(address::registered(path))
        .app_data(RouteName(path))
        .default_service(web::to(move |http: HttpRequest| refuse(http, wrong_method())))
}

fn get() -> Route {
    web::route().guard(Any(guard::Get()).or(guard::Head()))
}

fn post() -> Route {
    web::post()
}

fn put() -> Route {
    web::put()
}

fn patch() -> Route {
    web::patch()
}

fn delete() -> Route {
    web::delete()
}

async fn no_such_route(http: HttpRequest) -> HttpResponse {
    refuse(http, Problem::NoSuchRoute).await
}

/// Under `/api` the gate renders the problem, since it knows the correlation id; elsewhere nobody else does.
async fn refuse(http: HttpRequest, problem: Problem) -> HttpResponse {
    if http.path().starts_with("/api/") {
        return HttpResponse::from_error(problem);
    }
    let correlation_id = correlation::of(http.headers());
    problem.respond(http.path(), &correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_api_only_its_documents_answer_without_a_login() {
        let guarded: Vec<&str> = rights().into_iter().map(|(_, path, _)| path).collect();
        for (path, _) in TABLE {
            let asks =
                path.starts_with("/api/") && !["/api/v2/openapi.json", "/api/asyncapi.json"].contains(path);
            assert_eq!((asks, asks), (guarded.contains(path), !is_open(path)), "{path}");
        }
        assert!(is_open("/api/docs") && !is_open("/api/docs/") && !is_open("/api/docs/page"));
    }

    #[test]
    fn no_route_stands_twice_and_none_ends_with_a_slash() {
        let mut paths: Vec<&str> = TABLE.iter().map(|(path, _)| *path).collect();
        assert!(paths.iter().all(|path| !path.ends_with('/')));
        paths.sort_unstable();
        let count = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }
}
