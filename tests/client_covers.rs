//! The client against the document: each of its methods asks for an operation that is there, and each operation has a
//! method or a reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use client::Client;
use protocol::query::{ActorQuery, EventQuery, PageQuery, TaskQuery};
use protocol::{
    CompleteRequest, CreateApiKey, FailRequest, FinishMany, HeartbeatRequest, LeaseRequest, OutputRequest,
    PatchAgent, PatchTask, PerformanceQuery, PutQueue, Redrive, RegisterAgent, SubmitMany, SubmitTask,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::openapi::document;

/// Operations that no method of the client asks for, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("GET /api/v2/openapi.json", "it is for programs that read contracts; the client is made with one"),
    ("GET /api/asyncapi.json", "it is for programs that read contracts"),
    ("GET /health/live", "for probes, which speak HTTP themselves"),
];

/// Methods that ask nothing of their own, and why.
const SILENT: &[(&str, &str)] = &[
    ("next", "it reads on in the answer of follow_output, follow_events or watch"),
    ("watch", "it begins a session over WebSocket, which the AsyncAPI document has"),
    ("ask", "it asks in a session"),
];

/// Listens, and answers one request with a problem.
async fn listen(listener: &TcpListener) -> Result<String> {
    let (mut socket, _) = listener.accept().await?;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0; 4096];
        let length = socket.read(&mut bytes).await?;
        ensure!(length > 0, "the request ended early");
        head.extend_from_slice(&bytes[..length]);
    }
    let answer = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    socket.write_all(answer.as_bytes()).await?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split([' ', '?']);
    let (method, path) = (words.next().context("a method")?, words.next().context("a path")?);
    Ok(format!("{method} {}", path.replace("/VARIABLE", "/{}")))
}

/// Calls each named method once and answers what it asked for.
macro_rules! asked {
    ($($method:ident($($argument:expr),*),)*) => {{
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = Client::new(&format!("http://{}", listener.local_addr()?), Some("token"))?;
        let mut asked = BTreeMap::new();
        $(
            let ask = async { client.$method($($argument),*).await.is_err() };
            let (heard, is_refused) = tokio::join!(listen(&listener), ask);
            ensure!(is_refused, "{} takes a 500 for an answer", stringify!($method));
            asked.insert(stringify!($method), heard?);
        )*
        asked
    }};
}

async fn all() -> Result<BTreeMap<&'static str, String>> {
    let id = "VARIABLE";
    let page = PageQuery::default();
    Ok(asked! {
        submit(&SubmitTask::default(), None),
        submit_many(&SubmitMany::default(), None),
        tasks(&TaskQuery::default()),
        task(id),
        attempts(id, &page),
        task_events(id, &page),
        output(id, &page),
        follow_output(id, None),
        cancel(id, true),
        retry(id),
        patch_task(id, &PatchTask::default()),
        explain(id),
        dead_letters(&TaskQuery::default()),
        redrive(&Redrive::default()),
        queues(&page),
        queue(id),
        put_queue(id, &PutQueue::default()),
        pause_queue(id),
        resume_queue(id),
        create_api_key(&CreateApiKey::default(), None),
        api_keys(&page),
        remove_api_key(id),
        heartbeat(id, &HeartbeatRequest::default()),
        append_output(id, &OutputRequest::default()),
        complete(id, &CompleteRequest::default()),
        fail(id, &FailRequest::default()),
        finish_many(&FinishMany::default()),
        register_agent(&RegisterAgent::default(), None),
        agents(&page),
        agent(id),
        patch_agent(id, &PatchAgent::default()),
        remove_agent(id),
        drain_agent(id),
        resume_agent(id),
        restart_agent(id),
        lease(id, &LeaseRequest::default()),
        events(&EventQuery::default()),
        follow_events(Some(7)),
        system(),
        actors(&ActorQuery::default()),
        nodes(),
        live_limits(),
        live_contract(),
        live_stats(),
        live_health(),
        live_metrics(),
        broadcast("tasks", "maintenance", &1),
        disconnect(id),
        performance(&PerformanceQuery::default()),
        health(),
        ready(),
        metrics(),
        workspaces(),
        prune_workspaces(true),
    })
}

fn documented() -> Result<BTreeSet<String>> {
    let document = document()?;
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in item.as_object().context("operations")?.keys() {
            let path = path.replace("{id}", "{}").replace("{name}", "{}");
            found.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    Ok(found)
}

/// The public asynchronous methods that the source of the client has.
fn written() -> Result<BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/client");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path)?;
        let names = source.split("pub async fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
        found.extend(names.map(str::to_owned));
    }
    Ok(found)
}

#[tokio::test]
async fn every_operation_has_a_method_of_the_client_and_every_method_an_operation() -> Result<()> {
    let asked = all().await?;
    let documented = documented()?;
    for (method, operation) in &asked {
        ensure!(
            documented.contains(operation),
            "{method} asks for {operation}, which is not in the document"
        );
    }
    let mut covered: BTreeSet<String> = asked.values().cloned().collect();
    for (operation, why) in WITHOUT {
        ensure!(
            covered.insert((*operation).to_owned()),
            "{operation} has a method now; it had none because {why}"
        );
    }
    let missing: Vec<_> = documented.difference(&covered).collect();
    ensure!(missing.is_empty(), "the client has no method for {missing:?}, and WITHOUT says not why");
    let called: BTreeSet<String> = asked.keys().map(|name| (*name).to_owned()).collect();
    let silent = SILENT.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(
        written()?,
        called.into_iter().chain(silent).collect(),
        "methods in the source, and those called here"
    );
    Ok(())
}
