//! Every route with a key of every role, and the table of it in `docs/security.md`.

use std::fmt::Write as _;
use std::path::Path;

use domain::Role;

use super::*;
use crate::allowed::{Grant, Right};
use crate::routes::rights;

const PAGE: &str = "../../docs/security.md";
const OPEN: &str = "<!-- who may what: written by a test -->\n";
const CLOSE: &str = "<!-- end of who may what -->";

const fn cell(grant: Grant) -> &'static str {
    match grant {
        Grant::No => "–",
        Grant::Yes => "yes",
        Grant::Own => "its own",
        Grant::Workers => "workers",
    }
}

fn row(table: &mut String, first: &str, right: Right) {
    let cells: Vec<&str> = Role::ALL.into_iter().map(|role| cell(right.grant(role))).collect();
    writeln!(table, "| {first} | {} |", cells.join(" | ")).unwrap();
}

fn table() -> String {
    let roles: Vec<&str> = Role::ALL.into_iter().map(Role::as_str).collect();
    let mut table = format!("| route | {} |\n|---|{}\n", roles.join(" | "), "---|".repeat(roles.len()));
    for (method, path, right) in rights() {
        let path = path.strip_prefix("/api/v2").unwrap_or(path);
        row(&mut table, &format!("{} `{path}`", method.to_uppercase()), right);
    }
    row(
        &mut table,
        "agents that are processes: register, change, drain, resume, restart, remove",
        Right::RunCommands,
    );
    table
}

/// With HIVE_TESTS_UPDATE set, writes the table into the page.
#[test]
fn the_page_on_security_says_who_may_what() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(OPEN).expect("the mark before the table");
    let (there, after) = rest.split_once(CLOSE).expect("the mark behind the table");
    let table = table();
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{OPEN}{table}{CLOSE}{after}")).unwrap();
    } else {
        assert_eq!(there, table, "docs/security.md tells it otherwise; HIVE_TESTS_UPDATE=1 writes the table");
    }
}

#[actix_web::test]
async fn every_route_lets_in_the_roles_of_the_table_and_refuses_the_others() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("own", 1).await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        let mut body = json!({"name": format!("key-{role}"), "role": role.as_str()});
        if role == Role::Agent {
            body["agent_id"] = json!(agent);
        }
        keys.push((role, hive.key_with(body).await));
    }
    let mut asked = 0;
    for (method, pattern, right) in rights() {
        let method: Method = method.to_uppercase().parse().unwrap();
        // Nothing is there under these ids, so that no request changes what the next one meets.
        let id = match pattern.split('/').nth(3) {
            Some("agents") if right == Right::Work => agent.as_str(),
            Some("agents") => "agent_0000000000001",
            Some("tasks") => "task_0000000000001",
            _ => "key_0000000000001",
        };
        let mut path = pattern.replace("{id}", id).replace("{name}", "nightly");
        if path.ends_with("/stream") {
            // It goes on without an end for whoever asks as one should.
            path.push_str("?after=never");
        }
        for (role, key) in &keys {
            let (status, answer) = hive.with(key, method.clone(), &path, json!({})).await;
            let is_refused = right.grant(*role) == Grant::No;
            assert_eq!(status == 403, is_refused, "{method} {path} as {role}: {status} {answer}");
            assert!(status != 401 && status < 500, "{method} {path} as {role}: {status} {answer}");
            if is_refused {
                assert_eq!(answer["code"], "forbidden");
                let detail = answer["detail"].as_str().unwrap();
                let says = format!("needs the role {}, and yours is {role}", right.roles());
                assert!(detail.ends_with(&says), "{detail}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 31 * 5, "{asked}");
}

#[actix_web::test]
async fn whoever_may_not_is_told_so_before_the_body_is_read() {
    let hive = Hive::start(ApiSettings::default()).await;
    let viewer = hive.key("viewer").await;
    let head = format!(
        "POST /api/v2/tasks HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {viewer}\r\ncontent-length: 999999999\r\n\r\n"
    );
    let head = raw(hive.addr, head.into_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}
