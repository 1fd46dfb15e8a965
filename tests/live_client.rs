//! The contract of the WebSocket with a second client library, and its AsyncAPI document.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::Hive;

use crate::openapi::tool;

#[tokio::test]
async fn a_client_library_of_python_speaks_the_contract() -> Result<()> {
    let hive = Hive::start().await?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(tool("venv/bin/python")?);
    command.arg(here.join("live_client.py")).args([&hive.url, &hive.token]);
    command.arg(here.join("../schemas/ws_messages.schema.json")).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.trim() == "done", "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn the_document_of_the_websocket_needs_no_login_and_names_every_place_and_frame() -> Result<()> {
    let hive = Hive::start().await?;
    let served: Value = reqwest::get(format!("{}/api/asyncapi.json", hive.url)).await?.json().await?;
    ensure!(served == api::asyncapi()?);
    ensure!(served["asyncapi"] == "3.1.0", "{}", served["asyncapi"]);
    let stats = hive.get("/api/dashboard/websocket/stats").await?;
    let addresses: Vec<&Value> = served["channels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, channel)| &channel["address"])
        .collect();
    for endpoint in stats["endpoints"].as_array().into_iter().flatten() {
        ensure!(addresses.contains(&endpoint), "{endpoint}");
    }
    ensure!(served["components"]["messages"]["task_event"].is_object());
    Ok(())
}
