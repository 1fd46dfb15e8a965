//! A hive and its PostgreSQL server with TLS between them: what is asked for is what happens, or it is refused in a sentence.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::database::{Server, sql};
use tests::{Hive, Options};

use crate::cli::{Told, bare, run};

/// The server's URL with what is asked for; `{ca}` and `{other}` are the certificates of its authority and of another.
fn url(server: &Server, asked: &str) -> String {
    let file = |name: &str| server.folder.join(name).display().to_string().replace('/', "%2F");
    format!(
        "{}?{}",
        server.url,
        asked.replace("{ca}", &file("ca.crt")).replace("{other}", &file("other.crt"))
    )
}

/// A command that connects and does little else.
fn connects(url: &str) -> Result<Told> {
    let mut command = bare(&["migrate", "status"]);
    command.env("HIVE__DATABASE__URL", url);
    run(command)
}

fn refusal(url: &str) -> Result<String> {
    let told = connects(url)?;
    ensure!(told.code == 74 && told.out.is_empty(), "{url}: {told:?}");
    Ok(told.err)
}

#[tokio::test]
async fn with_verify_full_every_connection_of_a_hive_is_encrypted_and_it_works() -> Result<()> {
    let server = Server::start_with_tls()?;
    let url = url(&server, "sslmode=verify-full&sslrootcert={ca}&application_name=hive%20under%20test");
    let hive = Hive::start_with(Options::default().set("HIVE__DATABASE__URL", &url)).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let task = hive.submit(&json!({"title": "t"})).await?;
    ensure!(hive.lease(&agent, 1, 5_000).await?[0]["task_id"] == task.as_str());
    hive.get(&format!("/api/v2/tasks/{task}")).await?;
    let of_hive =
        "FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'hive under test'";
    let all = sql(&server.url, &format!("SELECT count(*) {of_hive}"))?;
    ensure!(all.parse::<u32>()? >= 3, "node, writer and reader are three, and not {all}");
    ensure!(
        sql(&server.url, &format!("SELECT count(*) {of_hive} AND s.ssl AND s.version >= 'TLSv1.2'"))? == all
    );
    Ok(())
}

#[test]
fn a_certificate_of_the_wrong_authority_or_for_another_name_is_refused_as_far_as_the_mode_looks() -> Result<()>
{
    let mut server = Server::start_with_tls()?;
    for asked in [
        "sslmode=verify-full&sslrootcert={other}",
        "sslmode=verify-ca&sslrootcert={other}",
        "sslmode=require&sslrootcert={other}",
    ] {
        let said = refusal(&url(&server, asked))?;
        ensure!(
            said.contains("its certificate is signed by none of those in") && said.contains("other.crt"),
            "{said}"
        );
    }
    let said = refusal(&url(&server, "sslmode=verify-full&sslrootcert=system"))?;
    ensure!(said.contains("signed by none of those in system"), "{said}");
    let said = refusal(&url(&server, "sslmode=verify-full"))?;
    ensure!(said.contains("need sslrootcert"), "{said}");
    server.url = server.url.replace("localhost", "127.0.0.1");
    let said = refusal(&url(&server, "sslmode=verify-full&sslrootcert={ca}"))?;
    ensure!(said.contains("its certificate is for another name than 127.0.0.1"), "{said}");
    // What does not look at the name, and what looks at nothing, but for the handshake.
    sql(&server.url, "ALTER SYSTEM SET log_connections = on")?;
    sql(&server.url, "SELECT pg_reload_conf()")?;
    for (number, asked) in
        ["sslmode=verify-ca&sslrootcert={ca}", "sslmode=require", "sslmode=prefer", "connect_timeout=5"]
            .iter()
            .enumerate()
    {
        let name = format!("hive-{number}");
        let told = connects(&format!("{}&application_name={name}", url(&server, asked)))?;
        ensure!(told.code == 0, "{asked}: {told:?}");
        let log = std::fs::read_to_string(server.folder.join("server.log"))?;
        let line = log.lines().find(|line| line.contains(&format!("application_name={name}")));
        let line = line.context("the server logs connections")?;
        ensure!(line.contains("SSL enabled"), "{asked}: {line}");
    }
    Ok(())
}

#[test]
fn a_server_without_tls_is_refused_where_it_is_required_and_spoken_to_where_it_is_preferred() -> Result<()> {
    let server = Server::start_with_tls()?;
    sql(&server.url, "ALTER SYSTEM SET ssl = off")?;
    sql(&server.url, "SELECT pg_reload_conf()")?;
    for asked in ["sslmode=require", "sslmode=verify-full&sslrootcert={ca}"] {
        let said = refusal(&url(&server, asked))?;
        ensure!(said.contains("the server does not speak TLS, and sslmode asks for it"), "{said}");
    }
    for asked in ["sslmode=prefer", "sslmode=disable"] {
        let told = connects(&url(&server, asked))?;
        ensure!(told.code == 0, "{asked}: {told:?}");
    }
    Ok(())
}
